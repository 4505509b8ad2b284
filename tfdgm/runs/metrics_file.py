"""`metrics.jsonl`: one flat JSON object per line, with the step and the metrics of a loop."""

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tfdgm.system import strict_json
from tfdgm.system.files import open_regular

_BLOCK = 1 << 16


def line_of(step: int, metrics: Mapping[str, float]) -> str:
    """Return the line of a step, with seven digits of every metric."""
    return strict_json.dumps({"step": step, **{name: float(f"{value:.7g}") for name, value in metrics.items()}})


def read_lines(path: Path) -> list[dict[str, float]]:
    """Return the valid lines of a metrics file, without truncated or damaged ones.

    Raises:
      OSError: it cannot be read.
    """
    with open_regular(path) as file:
        lines = (parse_line(line) for line in file)
        return [line for line in lines if line is not None]


def parse_line(text: bytes) -> dict[str, float] | None:
    """Return the step and the metrics of a line, or None if it is damaged."""
    try:
        line = strict_json.loads(text)
    except ValueError:
        return None
    if not isinstance(line, dict) or not _is_step(line.get("step")):
        return None
    numbers = {name: strict_json.number(value) for name, value in line.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def last_step(path: Path) -> int | None:
    """Return the step of the last valid line, or None if there is none; reads from the end."""
    try:
        with open_regular(path) as file:
            for _, line in _lines_from_end(file):
                parsed = parse_line(line)
                if parsed is not None:
                    return int(parsed["step"])
    except OSError:
        pass
    return None


def cut_after(path: Path, step: int) -> None:
    """Remove all lines after a step, damaged ones included, in time independent of the number of lines kept.

    Raises:
      OSError: the file cannot be read or cut.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "r+b") as file:
        kept = 0
        for end, line in _lines_from_end(file):
            parsed = parse_line(line)
            if line.endswith(b"\n") and parsed is not None and parsed["step"] <= step:
                kept = end
                break
        file.truncate(kept)


def _lines_from_end(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of its end, line with its newline) from the last line to the first."""
    end = file.seek(0, io.SEEK_END)
    tail = b""
    while end > 0 or tail:
        start = tail.rfind(b"\n", 0, max(len(tail) - 1, 0)) + 1
        if start == 0 and end > 0:
            size = min(max(_BLOCK, len(tail)), end)  # doubling keeps the cost of one long line linear in its length
            file.seek(end - size)
            tail = file.read(size) + tail
            end -= size
            continue
        yield end + len(tail), tail[start:]
        tail = tail[:start]


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
