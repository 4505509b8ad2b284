"""The files of XLA's persistent cache: check that one is complete and matches its name.

A file `PREFIX__A__B__DEVICE.pb` is a protocol buffer whose first field is the key, itself a message with A and B, the
fingerprints of the computation's signature and cluster, as numbers 1 and 2 (tensorflow/compiler/jit,
xla_compilation_cache.proto).
"""

import re
from collections.abc import Iterator

_NAME = re.compile(r".+__(\d+)__(\d+)__\w+\.pb")


def is_entry(name: str, content: bytes) -> bool:
    """Return whether the content is a complete entry with the key in its name."""
    named = _NAME.fullmatch(name)
    try:
        fields = dict(_fields(content))
        first = fields.get(1)
        key = dict(_fields(first)) if isinstance(first, bytes) else {}
    except ValueError:
        return False
    return named is not None and len(fields) > 1 and (key.get(1), key.get(2)) == (int(named[1]), int(named[2]))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of the fields of a protocol buffer; raise ValueError if it is truncated or invalid."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if number == 0 or position + length > len(message):
            raise ValueError("truncated")
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("truncated")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a varint is too long")
