"""HTTP: one request over a connection kept from the last one where it is still open, judged by conditions."""

from __future__ import annotations

import asyncio
import time
import zlib
from contextlib import aclosing
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httpcore
import httpx

from agents.probe import timeline
from agents.probe.certificate import not_after
from agents.probe.conditions import parse
from agents.probe.observation import Observation
from agents.probe.operands import Answer
from agents.probe.problems import explain
from agents.probe.rate_limit import metrics_of
from agents.probe.timeline import Timeline
from agents.probe.transport import KEEP_IDLE_S, ProbeTransport
from streams.units import human

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agents.probe.context import Context
    from agents.probe.settings import HttpCheck, Target

_MOST_REDIRECTS = 10
_STALE = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)
_REPEATABLE = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
_HEADERS = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "Probestream"}


@dataclass(slots=True)
class _Got:
    status: int
    headers: httpx.Headers
    body: bytes
    cut: bool
    ip: str
    certificate_s: float | None


class TooManyRedirectsError(Exception):
    """It leads ever on."""


async def check(target: Target, ctx: Context) -> Observation:
    """One request; `latency_ms` is from the look-up to the last byte of the body, redirects included."""
    spec = target.http
    assert spec is not None
    client = await ctx.shared(Clients).of(target)
    line = Timeline()
    token = timeline.current.set(line)
    limit = asyncio.timeout(target.timeout)
    try:
        async with limit:
            got = await _fetch(client, spec, line, ctx.max_body_bytes)
    except Exception as error:  # whatever a stranger's server leads httpx, h11, ssl and sockets into
        if limit.expired():
            status, message = "timeout", f"no answer within {human(target.timeout)}: gave up {line.doing}"
        elif isinstance(error, TooManyRedirectsError):
            status, message = "too_many_redirects", f"more than {_MOST_REDIRECTS} redirects"
        else:
            status, message = explain(error, _where(spec.url))
        return Observation(ok=False, status=status, message=message, metrics=line.metrics())
    finally:
        timeline.current.reset(token)
    return _judge(spec, got, line)


def _judge(spec: HttpCheck, got: _Got, line: Timeline) -> Observation:
    latency_ms = line.stop()
    answer = Answer(
        connected=True,
        status=got.status,
        response_ms=latency_ms,
        ip=got.ip,
        certificate_s=got.certificate_s,
        headers=got.headers,
        body=got.body,
    )
    conditions = [parse(text) for text in spec.conditions]
    failures = [failure for c in conditions if (failure := c.failure(answer)) is not None]
    if failures and got.cut and any(c.wants_body for c in conditions):
        failures.append(f"only the first {len(got.body)} bytes of the body were read (probe.max_body_bytes)")
    metrics = {**line.metrics(), **metrics_of(got.headers)}
    if got.certificate_s is not None:
        metrics["tls.days_left"] = got.certificate_s / 86400.0
    return Observation(
        ok=not failures, latency_ms=latency_ms, status=str(got.status), message="; ".join(failures), metrics=metrics
    )


async def _fetch(client: httpx.AsyncClient, spec: HttpCheck, line: Timeline, most: int) -> _Got:
    request = client.build_request(
        spec.method, spec.url, headers=spec.headers, content=spec.body, extensions={"trace": line}
    )
    for _ in range(_MOST_REDIRECTS + 1):
        response = await _send(client, request, line)
        try:
            # Before the body: where that is cut, the connection is closed and knows nothing any more.
            ip, certificate_s = _peer(response), _certificate_s(response)
            following = response.next_request if spec.follow_redirects else None
            body, cut = await _read(response, most)
        finally:
            await response.aclose()
        if following is None:
            return _Got(response.status_code, response.headers, body, cut, ip, certificate_s)
        if not _same_service(request.url, following.url):
            for name in spec.headers:  # they may hold the key to the first host, and are nobody else's business
                if name.lower() != "host":  # which httpx has set anew
                    following.headers.pop(name, None)
        request = following
    raise TooManyRedirectsError


async def _send(client: httpx.AsyncClient, request: httpx.Request, line: Timeline) -> httpx.Response:
    """The answer to `request`, its body still to be read.

    A server may close a kept connection just when we write to it. That says nothing about its health, so the request
    goes out once more, on a new one.
    """
    repeatable = request.method in _REPEATABLE
    if not repeatable:
        request.headers["connection"] = "close"  # so that it never meets that case
    line.attempt()
    try:
        return await client.send(request, stream=True)
    except _STALE:
        if line.connected or not repeatable:
            raise
    line.attempt()
    return await client.send(request, stream=True)


async def _read(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """The body, decompressed, up to `most` bytes; and whether there was more."""
    packed = response.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip", "deflate")
    inflate = zlib.decompressobj(wbits=47) if packed else None  # 47: gzip or zlib, whichever it is
    body = bytearray()
    async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_raw())) as chunks:
        async for chunk in chunks:
            # Never more than is wanted: a small body can unpack to a huge one.
            body += inflate.decompress(chunk, most + 1 - len(body)) if inflate else chunk
            if len(body) > most:
                return bytes(body[:most]), True
    return bytes(body), False


def _peer(response: httpx.Response) -> str:
    """The IP address that answered, or nothing where it has hung up already."""
    address = response.extensions["network_stream"].get_extra_info("server_addr")
    return str(address[0]) if address else ""


def _certificate_s(response: httpx.Response) -> float | None:
    """Seconds for which the server's certificate is still good; None without TLS."""
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    return None if der is None else not_after(der) - time.time()


def _where(url: str) -> str:
    """Host and port of `url`, and none of the secrets that may be around them."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _same_service(a: httpx.URL, b: httpx.URL) -> bool:
    """Whether `b`, to which `a` redirects, is of the same origin, or the same host with TLS."""
    upgraded = (a.scheme, b.scheme) == ("http", "https") and a.port is None and b.port is None
    return a.host == b.host and (upgraded or (a.scheme, a.port) == (b.scheme, b.port))


class Clients:
    """A client for each target, made at its first check."""

    def __init__(self) -> None:
        self._clients: dict[str, tuple[Target, httpx.AsyncClient]] = {}

    async def of(self, target: Target) -> httpx.AsyncClient:
        """The client of `target`, which is checked once at a time; that of an earlier form of it is closed."""
        kept = self._clients.get(target.name)
        if kept is not None and kept[0] is target:
            return kept[1]
        client = self._made(target)
        self._clients[target.name] = (target, client)
        if kept is not None:
            await kept[1].aclose()
        return client

    async def forget(self, name: str) -> None:
        """Close the connections of the target `name`."""
        kept = self._clients.pop(name, None)
        if kept is not None:
            await kept[1].aclose()

    @staticmethod
    def _made(target: Target) -> httpx.AsyncClient:
        spec = target.http
        assert spec is not None
        return httpx.AsyncClient(
            transport=ProbeTransport(
                allow_private=target.allow_private, verify=spec.verify_tls, keep=target.every <= KEEP_IDLE_S
            ),
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # each check is a first visit
            timeout=None,  # noqa: S113 - the whole check has one
            trust_env=False,  # neither a proxy nor .netrc: a probe sees what it is told to look at
        )

    async def aclose(self) -> None:
        """Close every connection."""
        for _, client in self._clients.values():
            await client.aclose()
        self._clients.clear()
