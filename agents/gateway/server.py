"""uvicorn as one part of a process that others stop: no signal handlers of its own, a slow client never blocks."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

_ABORT_S = 10.0


class PortInUseError(RuntimeError):
    """Another program listens where the gateway should."""


class _Protocol(WebSocketsSansIOProtocol):
    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close" and not self.writable.is_set():
            # uvicorn waits here until the client reads. One that is closed because it does not read gets the close
            # frame behind what it has not read, and some time for it; then the connection is cut.
            self.writable.set()
            self.loop.call_later(_ABORT_S, self.transport.abort)
        await super().send(message)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortInUseError, or OSError where the address is not this machine's."""
    name = host.strip("[]")
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(name).version == 6 else socket.AF_INET
    except ValueError:
        family = socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((name, port))
        sock.listen(2048)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise PortInUseError(
            f"the gateway cannot listen on {host}:{port}: {error.strerror}; another program may, or another "
            f"Probestream. Set gateway.port, or PROBESTREAM__GATEWAY__PORT"
        ) from error
    return sock


def server(app: ASGIApp) -> uvicorn.Server:
    """A server of `app`; `serve(sockets=[…])` runs until `should_exit` is set."""
    return _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws=_Protocol,
            ws_max_size=16 * 1024,
            ws_per_message_deflate=False,  # a copy of the compressor's work for each client, for a local network
            lifespan="off",
            log_config=None,
            # Not info: at that level uvicorn writes the path of each live connection, with the token in it.
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
