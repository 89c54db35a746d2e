"""httpx's way to the network for probes: guarded addresses, and connections of its own for each target.

There is no pool. One pool for many hosts is searched from end to end for each request (17 to 90 requests/s over many
hosts), and httpcore's loses a place for good when a request is cancelled just before it connects, until none is left.
A target is checked once at a time, so one idle connection for each origin is all there is to keep. It also keeps a
target that may not reach private addresses off another's connections.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from agents.probe import timeline
from agents.probe.dial import addresses_of, first_of

KEEP_IDLE_S = 60.0  # longer, and a router on the way may have forgotten the connection without telling us


@lru_cache(maxsize=2)
def tls_context(*, verify: bool) -> ssl.SSLContext:
    """The TLS settings of all probes: reading the list of authorities takes 20 ms, so it is done once."""
    context = httpx.create_ssl_context(verify=verify)
    if verify:
        context.load_default_certs()  # what the machine trusts besides, such as a company's own authority
    return context


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the guard lets pass, and to just those that it has seen."""

    def __init__(self, *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        line = timeline.current.get()
        if line is not None:
            line.start("dns")
        addresses = await addresses_of(host, allow_private=self.allow_private)
        if line is not None:
            line.start("connect")

        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)

        return _Closing(await first_of(addresses, connect, lambda stream: stream.aclose()))

    async def sleep(self, seconds: float) -> None:
        await self._plain.sleep(seconds)


class _Closing(httpcore.AsyncNetworkStream):
    """A connection that is closed where its TLS handshake is broken off: the plain one would stay open for ever."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class ProbeTransport(httpx.AsyncBaseTransport):
    """Connections of one target. Its errors are httpcore's own."""

    def __init__(self, *, allow_private: bool, verify: bool, keep: bool) -> None:
        self._tls = tls_context(verify=verify)
        self._backend = GuardedBackend(allow_private=allow_private)
        self._keep = keep
        self._idle: dict[str, httpcore.AsyncHTTPConnection] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        if url.scheme not in (b"http", b"https"):
            raise httpcore.UnsupportedProtocol(f"{url.scheme.decode('ascii', 'replace')} is neither http nor https")
        connection = await self._connection(url.origin)
        try:
            answer = await connection.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException:
            await connection.aclose()
            raise
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Stream(answer.stream, lambda: self._release(url.origin, connection)),
            extensions=answer.extensions,
        )

    async def _connection(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """The idle connection, where it is still open; else one that will connect."""
        idle = self._idle.pop(str(origin), None)
        if idle is not None:
            if idle.is_available() and not idle.has_expired():
                return idle
            await idle.aclose()
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._tls, keepalive_expiry=KEEP_IDLE_S, network_backend=self._backend
        )

    async def _release(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep `connection` where its answer was read to the end, else close it."""
        if self._keep and connection.is_idle() and str(origin) not in self._idle:
            self._idle[str(origin)] = connection
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        while self._idle:
            _, connection = self._idle.popitem()
            await connection.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, inner: Any, release: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._release = inner, release
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                await self._inner.aclose()
            finally:
                await self._release()
