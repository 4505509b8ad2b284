"""Connections to this machine's addresses; all of 127.0.0.0/8 is this machine."""

import contextlib
import socket

from tfdgm.parallel.ports import restrict

#: Seconds to wait for a connection that is dropped; an accepted one takes microseconds.
PATIENCE = 0.5


def connected(address, port):
    return socket.create_connection((address, port), timeout=PATIENCE)


def answers(address, port):
    try:
        connected(address, port).close()
    except TimeoutError:
        return False
    return True


def port_of(server):
    return server.getsockname()[1]


def filters_allowed():
    """Whether this process may attach a filter to a socket; some kernels require CAP_NET_ADMIN."""
    with contextlib.suppress(PermissionError), socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return restrict([probe], port_of(probe), ["10.0.0.1"]) is False
    return False
