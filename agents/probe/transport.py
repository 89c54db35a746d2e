"""httpx's way to the network for probes: guarded addresses, and connections of its own for each target.

One pool for many hosts is searched from end to end for each request (17 to 90 requests/s over many hosts); a pool
each costs nothing. It also keeps a target that may not reach private addresses off another's connections.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from agents.probe import timeline
from agents.probe.dial import addresses_of, first_of

KEEP_IDLE_S = 60.0  # longer, and a router on the way may have forgotten the connection without telling us
MOST_CONNECTIONS = 8


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

        async def connect(address: str) -> tuple[str, httpcore.AsyncNetworkStream]:
            return address, await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)

        async def close(opened: tuple[str, httpcore.AsyncNetworkStream]) -> None:
            await opened[1].aclose()

        address, stream = await first_of(addresses, connect, close)
        if line is not None:
            line.ip = address
        return stream

    async def sleep(self, seconds: float) -> None:
        await self._plain.sleep(seconds)


class ProbeTransport(httpx.AsyncBaseTransport):
    """Connections of one target. Its errors are httpcore's own."""

    def __init__(self, *, allow_private: bool, verify: bool, keep: bool) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(verify=verify),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_CONNECTIONS if keep else 0,
            keepalive_expiry=KEEP_IDLE_S,
            network_backend=GuardedBackend(allow_private=allow_private),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(answer.stream, AsyncIterable)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Stream(answer.stream),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, inner: AsyncIterable[bytes]) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        if hasattr(self._inner, "aclose"):
            await self._inner.aclose()
