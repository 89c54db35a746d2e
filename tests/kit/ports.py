"""Ports for servers that are started later."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback address that nobody else is given while this process lives.

    It stays bound and is not listened on: the system gives it to nobody who asks for any port, a connection to it is
    refused, and a server that takes over an address (SO_REUSEADDR, as all do) may listen on it.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    _held.append(sock)
    return int(sock.getsockname()[1])
