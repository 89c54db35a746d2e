"""Services to be watched: real HTTP and TCP servers on loopback that turn bad and heal when told to.

async with HttpService() as service:
    service.answer(503)            # every path; status, body, headers, JSON
    service.slow(0.3)              # answers after 0.3 s
    service.hang()                 # takes the request and never answers
    service.hold()                 # takes the request and answers it when its path is released
    service.reset()                # RST instead of an answer
    service.garbage()              # bytes that are no HTTP
    service.answer(200, path="/x") # only /x; other paths as before
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Reply:
    """What a path does. `how` is answer, hang, reset, garbage or close."""

    how: str = "answer"
    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class _Server:
    """A server on a free port of 127.0.0.1 that can go away and come back on the same port."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.tls, self.host, self.port = tls, host, 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._writers)

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen, on the port of the last time."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and cut those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()

    def cut(self) -> None:
        """Close every connection, as a server does that has been idle for too long."""
        for writer in list(self._writers):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer, number)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        raise NotImplementedError


class TcpService(_Server):
    """Takes connections, and holds them open until the other side closes."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while await reader.read(65536):
            pass


class HttpService(_Server):
    """HTTP/1.1 with keep-alive. `requests` has every request; `connections` counts what was accepted."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__(tls, host)
        self.requests: list[Request] = []
        self._replies: dict[str | None, Reply] = {None: Reply()}
        self._held: dict[str, asyncio.Event] | None = None

    def url(self, path: str = "/", host: str | None = None) -> str:
        return f"{'https' if self.tls else 'http'}://{host or self.host}:{self.port}{path}"

    def answer(
        self,
        status: int = 200,
        body: Any = b'{"ok": true}',
        headers: Mapping[str, str] | None = None,
        *,
        delay: float = 0.0,
        path: str | None = None,
    ) -> None:
        """Answer with `body`: bytes, text, or what becomes JSON."""
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self._replies[path] = Reply("answer", status, body, dict(headers or {}), delay)

    def slow(self, delay: float, *, path: str | None = None) -> None:
        self._replies[path] = Reply(delay=delay)

    def hang(self, *, path: str | None = None) -> None:
        self._replies[path] = Reply("hang")

    def hold(self) -> None:
        """Answer no request before its path is released."""
        self._held = {}

    def release(self, path: str) -> None:
        """Answer what is held on `path`, and what comes there."""
        self._gate(path).set()

    def _gate(self, path: str) -> asyncio.Event:
        assert self._held is not None
        return self._held.setdefault(path, asyncio.Event())

    def reset(self, *, path: str | None = None) -> None:
        self._replies[path] = Reply("reset")

    def garbage(self, *, path: str | None = None) -> None:
        self._replies[path] = Reply("garbage")

    def close_unanswered(self, *, path: str | None = None) -> None:
        """Close the connection instead of answering."""
        self._replies[path] = Reply("close")

    def redirect(self, to: str, *, path: str | None = None, status: int = 302) -> None:
        self._replies[path] = Reply("answer", status, b"", {"Location": to})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while (request := await _read_request(reader, number)) is not None:
            self.requests.append(request)
            reply = self._replies.get(request.path.split("?")[0], self._replies[None])
            await asyncio.sleep(reply.delay)
            if self._held is not None:
                await self._gate(request.path).wait()
            if reply.how == "hang":
                await reader.read()
                return
            if reply.how == "reset":
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            if reply.how == "close":
                return
            if reply.how == "garbage":
                writer.write(b"\x00\xffthis is no HTTP\r\n\r\n")
                await writer.drain()
                return
            headers = {"Content-Length": str(len(reply.body)), "Content-Type": "application/json", **reply.headers}
            head = f"HTTP/1.1 {reply.status} Status\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items())
            writer.write(head.encode() + b"\r\n" + (b"" if request.method == "HEAD" else reply.body))
            await writer.drain()
            if request.headers.get("connection") == "close":
                return


async def _read_request(reader: asyncio.StreamReader, number: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body, number)
