"""A server's port accepts connections at its own address only."""

import contextlib
import ipaddress
import socket
import struct
import sys
import time

import pytest
from loopback import PATIENCE, answers, connected, filters_allowed, port_of

from tfdgm.parallel.ports import own_addresses, program, restrict, restricted_to, split

#: Linux: attach a classic BPF program.
SO_ATTACH_FILTER = 26
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="socket filters exist on Linux only")


@contextlib.contextmanager
def listening():
    """A socket on all interfaces, for both versions of IP, as gRPC opens it."""
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        yield server


def restricted(server, *allowed):
    assert restrict([server], port_of(server), allowed)
    return {address for address in ("127.0.0.1", "127.0.0.2", "::1") if answers(address, port_of(server))}


@pytest.fixture
def filters():
    if not filters_allowed():
        pytest.skip("needs CAP_NET_ADMIN with this kernel")


@pytest.fixture(autouse=True)
def no_name_server(monkeypatch):
    """Names under .invalid do not resolve, without a query to a name server."""
    resolve = socket.getaddrinfo

    def known(host, *arguments, **named):
        if host.endswith(".invalid"):
            raise socket.gaierror("unknown")
        return resolve(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", known)


def test_a_server_answers_at_the_allowed_addresses_only(filters):
    with listening() as server:
        assert restricted(server, "127.0.0.1", "127.0.0.2", "::1") == {"127.0.0.1", "127.0.0.2", "::1"}
        assert restricted(server, "127.0.0.2") == {"127.0.0.2"}
        assert restricted(server, "::1") == {"::1"}
        assert restricted(server, "fd00::1", "127.0.0.2", "10.0.0.1") == {"127.0.0.2"}


def test_earlier_connections_from_other_addresses_are_dropped_and_other_ports_are_unaffected(filters):
    with listening() as server, listening() as other:
        ends = [(connected(address, port_of(server)), server.accept()[0]) for address in ("127.0.0.1", "127.0.0.2")]
        assert restrict([server, other, *(end for _, end in ends)], port_of(server), ["127.0.0.1"])
        heard = []
        for far, near in ends:
            near.settimeout(PATIENCE)
            far.sendall(b"hello")
            with contextlib.suppress(TimeoutError):
                heard.append(near.recv(5))
            far.close()
            near.close()
        assert heard == [b"hello"]
        assert answers("127.0.0.2", port_of(other))


def test_a_socket_that_does_not_listen_is_not_the_server(filters):
    with listening() as server, connected("127.0.0.1", port_of(server)) as far:
        near, _ = server.accept()
        with near:
            assert not restrict([near, far], port_of(server), ["127.0.0.1"])


def test_the_filter_is_attached_while_the_block_is_busy(filters, capfd):
    with socket.socket() as server:
        server.settimeout(PATIENCE)
        server.bind(("0.0.0.0", 0))
        with restricted_to(f"127.0.0.1:{port_of(server)}", []):
            if "pidfd_getfd is not permitted" in capfd.readouterr().err:
                pytest.skip("needs pidfd_getfd")
            server.listen()
            until = time.monotonic() + 60
            while answers("127.0.0.2", port_of(server)):
                with contextlib.suppress(TimeoutError):
                    server.accept()[0].close()  # a full queue would drop connections too
                assert time.monotonic() < until
            assert answers("127.0.0.1", port_of(server))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "address, peers, reason",
    [
        ("198.51.100.1", [], "198.51.100.1 is not an address of this machine"),  # TEST-NET-2
        ("0.0.0.0", [], "0.0.0.0 stands for all addresses"),
        ("[::]", [], ":: stands for all addresses"),
        ("localhost", ["no-such-host.invalid:1"], "the name no-such-host.invalid does not resolve"),
        ("127.0.0.1", [], "the server has no socket"),
    ],
)
def test_a_port_that_stays_open_is_reported(address, peers, reason, capfd):
    with restricted_to(f"{address}:1", peers):
        pass
    assert f"port 1 is open on all interfaces: {reason}" in capfd.readouterr().err


def packet(address):
    """An IP header with this destination; the program reads nothing else."""
    packed = ipaddress.ip_address(address).packed
    return bytes([0x45, *[0] * 15]) + packed if len(packed) == 4 else bytes([0x60, *[0] * 23]) + packed


def passes(code, header):
    """Run classic BPF on a header, as the kernel does; return whether it passes the packet."""
    lines, at, accumulator = list(struct.iter_unpack("HBBI", code)), 0, 0
    while True:
        operation, yes, no, number = lines[at]
        at += 1
        if operation in (0x30, 0x20):  # load a byte, a word; a packet that is too short is dropped
            offset, size = number - 0xFFF00000, 1 if operation == 0x30 else 4
            if offset + size > len(header):
                return False
            accumulator = int.from_bytes(header[offset : offset + size], "big")
        elif operation == 0x54:
            accumulator &= number
        elif operation == 0x15:
            at += yes if accumulator == number else no
        else:
            assert operation == 0x06
            return number == 0xFFFFFFFF


@pytest.mark.parametrize("allowed", [["10.0.0.1"], ["fd00::1"], ["10.0.0.1", "fd00::1", "10.0.0.3", "fd00::2"]])
def test_the_program_passes_packets_to_the_allowed_addresses_only(allowed):
    others = ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.0.3", "fd00::1", "fd00::2", "fd00::3", "fd01::1", "fd00:1::1")
    assert [address for address in others if passes(program(allowed), packet(address))] == sorted(
        allowed, key=others.index
    )


class Forbidden(socket.socket):
    """A socket of a process that may not attach filters."""

    def setsockopt(self, level, option, value):
        if option == SO_ATTACH_FILTER:
            raise PermissionError(1, "Operation not permitted")
        super().setsockopt(level, option, value)


def test_without_filters_a_server_at_loopback_addresses_is_bound_to_that_interface():
    with Forbidden(socket.AF_INET6) as server:
        server.bind(("::", 0))
        server.listen()
        for _ in range(2):  # by the companion process, and again
            assert restrict([server], port_of(server), ["127.0.0.1", "::1"])
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        assert answers("127.0.0.1", port_of(server))
        with pytest.raises(PermissionError):
            restrict([server], port_of(server), ["10.0.0.1"])


def test_a_literal_is_its_only_own_address_and_a_name_adds_those_that_peers_see():
    assert own_addresses("127.0.0.3", ["127.0.0.1"]) == ["127.0.0.3"]
    assert own_addresses("::ffff:127.0.0.3") == ["127.0.0.3"]
    assert own_addresses("no-such-host.invalid", ["127.0.0.1"]) == ["127.0.0.1"]
    assert "127.0.0.1" in own_addresses("localhost")
    with pytest.raises(LookupError, match="not an address of this machine"):
        own_addresses("198.51.100.1", ["127.0.0.1"])


def test_host_and_port():
    assert split("node:12") == ("node", 12)
    assert split("[fd00::1]:12") == ("fd00::1", 12)
    for wrong in ("node", ":12", "node:", "node:x"):
        with pytest.raises(ValueError, match="not HOST:PORT"):
            split(wrong)
