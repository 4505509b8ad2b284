"""Restrict TensorFlow's servers to the address they are given; by themselves they listen on all interfaces.

A socket filter (`SO_ATTACH_FILTER` on Linux) makes the kernel drop packets for other addresses; accepted connections
inherit it. Some kernels require CAP_NET_ADMIN for a filter; without it a server at loopback addresses is bound to the
loopback interface. TensorFlow holds Python's interpreter lock from before it listens until all workers have connected,
so a companion process attaches the filter, within milliseconds (`pidfd_getfd`). Where that is not allowed, this process
attaches it when all workers have connected, and prints a warning.
"""

import contextlib
import ctypes
import errno
import ipaddress
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

_SO_ATTACH_FILTER = 26
_PR_SET_PTRACER = 0x59616D61
_SYS_PIDFD_OPEN, _SYS_PIDFD_GETFD = 434, 438
#: Classic BPF: load byte, load word, and, jump if equal, return. Offsets from `_NETWORK` are into the IP header.
_LOAD_BYTE, _LOAD_WORD, _AND, _JUMP_EQUAL, _RETURN = 0x30, 0x20, 0x54, 0x15, 0x06
_NETWORK = 0xFFF00000
_WHOLE_PACKET = 0xFFFFFFFF
#: The companion's output once it watches the port.
_READY = b"ready\n"
#: The destination's bytes in the IP header, by version: first, and one past the last.
_DESTINATION = {4: (16, 20), 6: (24, 40)}


@contextlib.contextmanager
def restricted_to(address: str, peers: Iterable[str]) -> Iterator[None]:
    """Restrict the server that starts inside the block to the host of `address`, also after the block.

    Where that is impossible, print a warning to stderr and leave the port open on all interfaces.

    Args:
      address: `HOST:PORT` of this worker.
      peers: `HOST:PORT` of all workers. If HOST is a name, this machine may resolve it to a loopback address that other
        machines do not know; the addresses from which this machine reaches its peers are therefore allowed as well.
    """
    host, port = split(address)
    try:
        if sys.platform != "linux":
            raise LookupError("this is not Linux")
        allowed = own_addresses(host, [split(peer)[0] for peer in peers])
    except LookupError as reason:
        _warn(port, str(reason))
        yield
        return
    with _watched(port, allowed):
        yield
    try:
        if not restrict(open_sockets(os.getpid(), os.dup), port, allowed):
            _warn(port, "the server has no socket")
    except OSError as error:
        _warn(port, f"{error} (CAP_NET_ADMIN may be required)")


@contextlib.contextmanager
def _watched(port: int, allowed: Sequence[str]) -> Iterator[None]:
    """Run a companion process inside the block, which restricts the port as soon as it is opened."""
    arguments = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(port), *allowed]
    try:
        companion = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        _warn(port, f"{error}; until all workers have connected")
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    with companion:
        try:
            prctl(_PR_SET_PTRACER, ctypes.c_ulong(companion.pid))
            assert companion.stdout is not None
            if companion.stdout.readline() != _READY:
                _warn(port, "pidfd_getfd is not permitted; until all workers have connected")
            yield
        finally:
            companion.kill()
            prctl(_PR_SET_PTRACER, ctypes.c_ulong(0))


def _warn(port: int, reason: str) -> None:
    print(f"tfdgm: port {port} is open on all interfaces: {reason}; protect it with a firewall", file=sys.stderr)


def split(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `[HOST]:PORT`; raise ValueError for other forms."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def own_addresses(host: str, peers: Sequence[str] = ()) -> list[str]:
    """Return this machine's addresses for `host`; for a name also the addresses from which it reaches `peers`.

    Raises:
      LookupError: there is none, `host` stands for all addresses, or a peer's name does not resolve, so that the list
        may be incomplete.
    """
    found = [address for address in _resolved(host) if _is_own(address)]
    if not _is_literal(host):
        for peer in peers:
            targets = _resolved(peer)
            if not targets:
                raise LookupError(f"the name {peer} does not resolve")
            found += [source for target in targets if (source := _source(target))]
    if not found:
        raise LookupError(f"{host} is not an address of this machine")
    if any(ipaddress.ip_address(address).is_unspecified for address in found):
        raise LookupError(f"{host} stands for all addresses")
    return sorted(set(found))


def _resolved(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return []
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    return [str(getattr(address, "ipv4_mapped", None) or address) for address in addresses]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _is_literal(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False


def _is_own(address: str) -> bool:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.bind((address, 0))
        return True
    return False


def _source(target: str) -> str | None:
    """Return the address from which this machine would send to `target`, without sending anything."""
    with socket.socket(_family(target), socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((target, 9))
        return str(probe.getsockname()[0])
    return None


def restrict(sockets: Iterable[socket.socket], port: int, allowed: Sequence[str]) -> bool:
    """Restrict the TCP sockets with this port to the addresses `allowed`; return whether one of them listens.

    Raises:
      PermissionError: this process may not attach a filter, and an address is not a loopback address.
    """
    code = program(allowed)
    kept = ctypes.create_string_buffer(code, len(code))
    option = struct.pack("HP", len(code) // 8, ctypes.addressof(kept))
    listens = False
    for each in sockets:
        if _port(each) == port:
            try:
                each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
            except PermissionError:
                if not all(ipaddress.ip_address(address).is_loopback for address in allowed):
                    raise
                bind_to_loopback(each)
            listens |= bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return listens


def bind_to_loopback(each: socket.socket) -> None:
    """Accept packets from the loopback interface only; every process may do this, once for each socket."""
    if not each.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0"):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


def _port(each: socket.socket) -> int | None:
    with contextlib.suppress(OSError):
        if each.family in (socket.AF_INET, socket.AF_INET6) and each.type == socket.SOCK_STREAM:
            return int(each.getsockname()[1])
    return None


def program(allowed: Sequence[str]) -> bytes:
    """Return the classic BPF program that passes packets for these addresses and drops all others."""
    lines: list[tuple[int, int, int, int]] = []
    for address in allowed:
        packed = socket.inet_pton(_family(address), address)
        version = 4 if len(packed) == 4 else 6
        words = struct.unpack(f"!{len(packed) // 4}I", packed)
        first, end = _DESTINATION[version]
        left = 2 * len(words) + 1  # lines of this address after the first jump
        lines += [(_LOAD_BYTE, 0, 0, _NETWORK), (_AND, 0, 0, 0xF0), (_JUMP_EQUAL, 0, left, version << 4)]
        for offset, word in zip(range(first, end, 4), words, strict=True):
            left -= 2
            lines += [(_LOAD_WORD, 0, 0, _NETWORK + offset), (_JUMP_EQUAL, 0, left, word)]
        lines.append((_RETURN, 0, 0, _WHOLE_PACKET))
    lines.append((_RETURN, 0, 0, 0))
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def open_sockets(process: int, duplicate: Callable[[int], int]) -> Iterator[socket.socket]:
    """Yield the sockets of a process, each closed on the next iteration; `duplicate` copies a descriptor of it."""
    folder = f"/proc/{process}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(OSError):  # closed in the meantime, or reused for another file
            if os.readlink(f"{folder}/{number}").startswith("socket:"):
                yield from _opened(duplicate(int(number)))


def _opened(descriptor: int) -> Iterator[socket.socket]:
    try:
        opened = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return
    with opened:
        yield opened


def _system_call(*arguments: int) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(*arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _watch(process: int, port: int, allowed: Sequence[str]) -> None:
    """Restrict the port of a process as soon as it is opened, and connections accepted before that."""
    handle = _system_call(_SYS_PIDFD_OPEN, process, 0)

    def duplicate(number: int) -> int:
        return _system_call(_SYS_PIDFD_GETFD, handle, number, 0)

    if not _may_duplicate(duplicate):
        return
    os.write(1, _READY)
    while True:
        time.sleep(0.2 if restrict(open_sockets(process, duplicate), port, allowed) else 0.005)


def _may_duplicate(duplicate: Callable[[int], int]) -> bool:
    """Return whether descriptors may be copied; waits for the process to grant the permission."""
    for _ in range(100):
        try:
            os.close(duplicate(0))
        except OSError as error:
            if error.errno == errno.ENOSYS:
                return False
            if error.errno != errno.EBADF:  # EBADF means that the permission was granted
                time.sleep(0.01)
                continue
        return True
    return False


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the process has ended
        _watch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
