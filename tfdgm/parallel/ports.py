"""TensorFlow's servers listen on all interfaces, whatever address they are given; here they answer at that one alone.

The kernel drops what comes for other addresses, by a socket filter (`SO_ATTACH_FILTER` of Linux); connections that a
listening socket accepts inherit it. Some kernels want CAP_NET_ADMIN for that; without it a server at loopback addresses
is tied to the loopback interface. TensorFlow holds Python's interpreter lock from before it listens until all workers
have come, so a process beside this one puts the filter on, within milliseconds (`pidfd_getfd`). Where that is not
allowed, it comes on when all workers are there, which is said.
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
#: Of classic BPF: load a byte; load a word; and; jump if equal; return. Offsets from `_NETWORK` are into the IP header.
_LOAD_BYTE, _LOAD_WORD, _AND, _JUMP_EQUAL, _RETURN = 0x30, 0x20, 0x54, 0x15, 0x06
_NETWORK = 0xFFF00000
_WHOLE = 0xFFFFFFFF
#: What the process beside says once it looks.
_LOOKS = b"looks\n"
#: By version, where the IP header holds the destination: its first byte and the byte after its last.
_DESTINATION = {4: (16, 20), 6: (24, 40)}


@contextlib.contextmanager
def answering_at(address: str, peers: Iterable[str]) -> Iterator[None]:
    """The server that starts inside the block answers at the host of its own `address` only, from then on.

    Where that cannot be had it answers at all addresses, and that is said on stderr.

    Args:
      address: `HOST:PORT` of this worker.
      peers: `HOST:PORT` of all workers. Where HOST is a name, which this machine may resolve to a loopback address that
        no other knows, the addresses count too from which it reaches them.
    """
    host, port = split(address)
    try:
        if sys.platform != "linux":
            raise LookupError("this is not Linux")
        allowed = own_addresses(host, [split(peer)[0] for peer in peers])
    except LookupError as reason:
        _tell(port, str(reason))
        yield
        return
    with _watched(port, allowed):
        yield
    try:
        if not restrict(open_sockets(os.getpid(), os.dup), port, allowed):
            _tell(port, "no socket of it was found")
    except OSError as error:
        _tell(port, f"{error} (CAP_NET_ADMIN may be needed)")


@contextlib.contextmanager
def _watched(port: int, allowed: Sequence[str]) -> Iterator[None]:
    """A process beside this one confines the port as soon as it is opened, inside the block."""
    arguments = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(port), *allowed]
    try:
        beside = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        _tell(port, f"{error}; until all workers are there")
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    with beside:
        try:
            prctl(_PR_SET_PTRACER, ctypes.c_ulong(beside.pid))
            assert beside.stdout is not None
            if beside.stdout.readline() != _LOOKS:
                _tell(port, "pidfd_getfd is refused; until all workers are there")
            yield
        finally:
            beside.kill()
            prctl(_PR_SET_PTRACER, ctypes.c_ulong(0))


def _tell(port: int, why: str) -> None:
    print(f"tfdgm: port {port} is open on all interfaces: {why}; close it by a firewall", file=sys.stderr)


def split(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[HOST]:PORT`; ValueError where it is neither."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def own_addresses(host: str, peers: Sequence[str] = ()) -> list[str]:
    """Addresses of this machine that `host` means, and, where it is a name, those from which it reaches `peers`.

    Raises:
      LookupError: there is none, or it means all, or a peer's name does not resolve, so that they may be incomplete.
    """
    found = [address for address in _resolved(host) if _is_own(address)]
    if not _is_literal(host):
        for peer in peers:
            targets = _resolved(peer)
            if not targets:
                raise LookupError(f"the name {peer} does not resolve")
            found += [source for target in targets if (source := _source(target))]
    if not found:
        raise LookupError(f"{host} is no address of this machine")
    if any(ipaddress.ip_address(address).is_unspecified for address in found):
        raise LookupError(f"{host} is all addresses")
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
    """The address from which this machine sends to `target`; nothing is sent."""
    with socket.socket(_family(target), socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((target, 9))
        return str(probe.getsockname()[0])
    return None


def restrict(sockets: Iterable[socket.socket], port: int, allowed: Sequence[str]) -> bool:
    """Confines those of the TCP sockets that have this port to `allowed`; whether one of them listens.

    Raises:
      PermissionError: this process may set no filter, and the addresses are not of the loopback interface.
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
                tie_to_loopback(each)
            listens |= bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return listens


def tie_to_loopback(each: socket.socket) -> None:
    """Lets nothing in that did not come by the loopback interface; every process may do that, once."""
    if not each.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0"):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


def _port(each: socket.socket) -> int | None:
    with contextlib.suppress(OSError):
        if each.family in (socket.AF_INET, socket.AF_INET6) and each.type == socket.SOCK_STREAM:
            return int(each.getsockname()[1])
    return None


def program(allowed: Sequence[str]) -> bytes:
    """Classic BPF: a packet for one of the addresses passes whole, any other is dropped."""
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
        lines.append((_RETURN, 0, 0, _WHOLE))
    lines.append((_RETURN, 0, 0, 0))
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def open_sockets(process: int, copied: Callable[[int], int]) -> Iterator[socket.socket]:
    """The sockets of a process, each closed when the next is asked for; `copied` makes a descriptor ours."""
    folder = f"/proc/{process}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(OSError):  # closed meanwhile, or another file by now
            if os.readlink(f"{folder}/{number}").startswith("socket:"):
                yield from _opened(copied(int(number)))


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


def _beside(process: int, port: int, allowed: Sequence[str]) -> None:
    """Confines the port of a process as soon as it is opened, and whoever came in before that."""
    handle = _system_call(_SYS_PIDFD_OPEN, process, 0)

    def copied(number: int) -> int:
        return _system_call(_SYS_PIDFD_GETFD, handle, number, 0)

    if not _may_copy(copied):
        return
    os.write(1, _LOOKS)
    while True:
        time.sleep(0.2 if restrict(open_sockets(process, copied), port, allowed) else 0.005)


def _may_copy(copied: Callable[[int], int]) -> bool:
    """Whether descriptors may be copied; the process may have to allow it first, which it is about to do."""
    for _ in range(100):
        try:
            os.close(copied(0))
        except OSError as error:
            if error.errno == errno.ENOSYS:
                return False
            if error.errno != errno.EBADF:  # which comes after the permission
                time.sleep(0.01)
                continue
        return True
    return False


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the process has ended
        _beside(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
