"""Who may ask: Host, Origin, token, content type and size, before anything else sees a request.

Host: a page of another site whose name was made to point at loopback (DNS rebinding) must not read our answers.
Origin: browsers send WebSocket handshakes and simple POSTs of any site, with whatever credentials they hold.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import orjson

from agents.gateway.errors import error_body
from agents.gateway.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agents.gateway.settings import GatewaySettings

SUBPROTOCOL = "probestream.v1"
MAX_BODY_BYTES = 64 * 1024
LOGS_PATH = "/api/v1/logs"
# Log shippers send in bulk, and some of them as JSON lines, which no page of another site may send either without
# asking first.
_LARGER = {LOGS_PATH: 1024 * 1024}
_TYPES = ("application/json",)
_MORE_TYPES = {LOGS_PATH: ("application/json", "application/x-ndjson", "application/jsonl")}
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_SAFE = ("GET", "HEAD", "OPTIONS")
_CONTENT_POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _CONTENT_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
Refusal = tuple[int, str, str]


class Guard:
    """ASGI middleware; `is_open(path)` says which GETs need no token."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings, is_open: Callable[[str], bool]) -> None:
        self.app, self.is_open = app, is_open
        self.token = settings.token.get_secret_value().encode() if settings.token else None
        self.local = is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self.refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, send, refusal)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, _limited(receive, _most(scope)), _with_headers(scope, send))

    def refusal(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        """Status, code and message of what speaks against this request, or None."""
        host = headers.get("host", "")
        if self.local and _name(host) not in _LOCAL:
            return 400, "bad_host", "this gateway is bound to loopback: address it as localhost or 127.0.0.1"
        method = scope.get("method", "GET")
        origin = headers.get("origin")
        if origin is not None and (scope["type"] == "websocket" or method not in _SAFE) and not same_host(origin, host):
            return 403, "forbidden_origin", f"requests from pages of {origin[:200]} are not taken"
        if self.token is not None and not self._authorized(scope, headers, method):
            return 401, "unauthorized", "send the gateway's token as Authorization: Bearer <token>"
        types = _MORE_TYPES.get(scope["path"], _TYPES)
        if method == "POST" and headers.get("content-type", "").split(";")[0].strip().lower() not in types:
            return 415, "unsupported_media_type", f"a POST needs Content-Type: {' or '.join(types)}"
        length, most = headers.get("content-length", "0"), _most(scope)
        if not length.isdigit() or int(length) > most:
            return 413, "too_large", f"a body may have {most} bytes"
        return None

    def _authorized(self, scope: Scope, headers: Mapping[str, str], method: str) -> bool:
        if scope["type"] == "http" and method in ("GET", "HEAD") and self.is_open(scope["path"]):
            return True
        assert self.token is not None
        # Each one is compared in full, whatever the others were: time tells nothing of the token.
        return any([hmac.compare_digest(given, self.token) for given in _tokens(scope, headers)])  # noqa: C419 - said above


def _tokens(scope: Scope, headers: Mapping[str, str]) -> list[bytes]:
    found: list[bytes] = []
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        found.append(value.strip().encode("latin-1"))
    elif kind.lower() == "basic":  # what Schema Registry clients know
        found.append(_decoded(value.strip()).partition(b":")[2])
    if scope["type"] == "websocket":
        query = parse_qs(scope["query_string"].decode("latin-1"))
        found += [t.encode() for t in query.get("token", ())]
        found += [_decoded(p.removeprefix("bearer.")) for p in scope["subprotocols"] if p.startswith("bearer.")]
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def same_host(origin: str, host: str) -> bool:
    """Whether an Origin header names the host, and port, that the request came to."""
    try:
        there, here = urlsplit(origin), urlsplit(f"//{host}")
        default = {"http": 80, "https": 443}.get(there.scheme)
        ports = there.port or default, here.port or default
    except ValueError:
        return False
    return default is not None and there.hostname == here.hostname and ports[0] == ports[1]


def _most(scope: Scope) -> int:
    """Bytes that a body may have here."""
    return _LARGER.get(scope["path"], MAX_BODY_BYTES)


def _limited(receive: Receive, most: int) -> Receive:
    """`receive` that ends a body without a declared length when it grows too large."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            return {"type": "http.disconnect"}
        return message

    return limited


def _with_headers(scope: Scope, send: Send) -> Send:
    live = scope["path"].startswith(("/api", "/metrics"))

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra: list[Any] = [*_HEADERS, (b"cache-control", b"no-store")] if live else _HEADERS
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return sending


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    status, code, message = refusal
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    headers = [(b"content-type", b"application/json"), *_HEADERS]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="probestream"'))
    body = orjson.dumps(error_body(code, message))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
