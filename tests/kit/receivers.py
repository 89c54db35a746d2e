"""Receivers that run for real on loopback: a Slack incoming webhook, a webhook, an SMTP server.

Each is an async context manager on a free port, keeps what it got in lists, answers what a test scripts, and can be
stopped and started again on its port. ``wait_for(n)`` waits for n accepted messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import hashlib
import hmac
import json
import time
from collections import deque
from dataclasses import dataclass, field
from email.policy import default as default_policy
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.kit.role import PATIENCE_S

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from email.message import EmailMessage


@dataclass(frozen=True)
class Answer:
    """What an HTTP receiver answers. `hang` never answers; `drop` takes the message and cuts the connection."""

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang: bool = False
    drop: bool = False


OK = Answer()
HANG = Answer(hang=True)
DROP = Answer(drop=True)
INVALID_PAYLOAD = Answer(400, "invalid_payload")
ACTION_PROHIBITED = Answer(403, "action_prohibited")
CHANNEL_NOT_FOUND = Answer(404, "channel_not_found")
NO_SERVICE = Answer(404, "no_service")
CHANNEL_IS_ARCHIVED = Answer(410, "channel_is_archived")


def rate_limited(retry_after: str = "1") -> Answer:
    """429 as Slack gives it."""
    return Answer(429, "rate_limited", {"Retry-After": retry_after})


def status(code: int) -> Answer:
    """A bare answer."""
    return Answer(code, f"answer {code}")


@dataclass
class Request:
    """One request as it came in; `accepted` tells whether it counted as a message."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 0
    accepted: bool = False

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class _Waiting:
    """Waiting for messages with a deadline."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._changed = asyncio.Event()

    def _note(self) -> None:
        self._changed.set()

    async def until(self, holds: Callable[[], bool], timeout: float = PATIENCE_S, what: str = "") -> None:
        """Wait until `holds`, looking after each arrival. Raises AssertionError after `timeout` seconds."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not holds():
            self._changed.clear()
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                raise AssertionError(f"{what or 'nothing'} after {timeout} s: {self!r}") from None

    async def wait_for(self, n: int, timeout: float = PATIENCE_S) -> list[Any]:
        """The accepted messages, once there are `n`. Raises AssertionError after `timeout` seconds."""
        await self.until(lambda: len(self.messages) >= n, timeout, f"not {n} messages")
        return self.messages


class HttpReceiver(_Waiting):
    """A webhook receiver; a message is a request that was answered with 2xx, or dropped after it was read."""

    path = "/hook"

    def __init__(self, answer: Answer = OK, *, port: int = 0) -> None:
        super().__init__()
        self.answer = answer
        self.port = port
        self.requests: list[Request] = []
        self.on_request: Callable[[Request], None] | None = None
        self._script: deque[Answer] = deque()
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        got = [(r.path, r.status, r.accepted) for r in self.requests]
        return f"<{type(self).__name__} {len(self.messages)} messages of requests {got}>"

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def script(self, *answers: Answer) -> None:
        """Answer the next requests so; then as `answer` says again."""
        self._script.extend(answers)

    async def wait_for_requests(self, n: int, timeout: float = PATIENCE_S) -> list[Request]:
        """All requests, accepted or not, once there are `n`."""
        await self.until(lambda: len(self.requests) >= n, timeout, f"not {n} requests")
        return self.requests

    def check(self, request: Request) -> Answer | None:
        """An answer that this kind of receiver gives of its own accord."""
        return None

    async def start(self) -> None:
        """Listen; on the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _handle(self, raw: web.Request) -> web.StreamResponse:
        request = Request(time.perf_counter(), raw.path, raw.headers.copy(), await raw.read())
        self.requests.append(request)
        if self.on_request is not None:
            self.on_request(request)
        answer = self.check(request) if raw.method == "POST" else Answer(405, "method_not_allowed")
        if answer is None:
            answer = self._script.popleft() if self._script else self.answer
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        request.status = 0 if answer.hang or answer.drop else answer.status
        request.accepted = answer.drop or (not answer.hang and 200 <= answer.status < 300)
        if request.accepted:
            self.messages.append(self.message(request))
        self._note()
        if answer.hang:
            await asyncio.Event().wait()
        if answer.drop and raw.transport is not None:
            raw.transport.abort()
        return web.Response(status=answer.status, text=answer.body, headers=answer.headers)

    def message(self, request: Request) -> Any:
        """What `messages` keeps of an accepted request."""
        return request.json


class SlackServer(HttpReceiver):
    """Slack's incoming webhooks as documented: 200 ``ok``, 400, 403, 404, 410, 429 with Retry-After, 5xx.

    `messages` are the accepted payloads. A wrong address is 404 ``no_service``, a payload without text 400.
    """

    path = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"

    def check(self, request: Request) -> Answer | None:
        if request.path != self.path:
            return NO_SERVICE
        try:
            payload = json.loads(request.body)
        except ValueError:
            return INVALID_PAYLOAD
        if not isinstance(payload, dict):
            return INVALID_PAYLOAD
        if not any(payload.get(part) for part in ("text", "attachments", "blocks")):
            return Answer(400, "no_text")
        return None


class WebhookServer(HttpReceiver):
    """A webhook receiver; with `secret` it refuses (401) what is not signed with it or is older than 5 minutes."""

    def __init__(self, secret: str | None = None, answer: Answer = OK, *, port: int = 0) -> None:
        super().__init__(answer, port=port)
        self.secret = secret

    def check(self, request: Request) -> Answer | None:
        if self.secret is not None and not self.verifies(request):
            return Answer(401, "bad signature")
        return None

    def verifies(self, request: Request) -> bool:
        """Whether ``X-Probestream-Signature`` is ours, written from its description and not from our code."""
        parts = dict(p.partition("=")[::2] for p in request.headers.get("X-Probestream-Signature", "").split(","))
        if "t" not in parts or "v1" not in parts or abs(time.time() - int(parts["t"])) > 300:
            return False
        signed = parts["t"].encode() + b"." + request.body
        want = hmac.new((self.secret or "").encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(want, parts["v1"])


@dataclass
class Mail:
    """One accepted email."""

    at: float
    sender: str
    to: list[str]
    message: EmailMessage
    tls: bool
    user: str | None

    def part(self, kind: str) -> str:
        """The body of type ``plain`` or ``html``."""
        part = self.message.get_body((kind,))
        assert part is not None
        return str(part.get_content())


class SmtpServer(_Waiting):
    """An SMTP server; `messages` are `Mail`s.

    `script` takes answers to coming DATA commands, such as ``451 try later``; `rcpt` answers by address, until
    removed. `tls` offers STARTTLS, or speaks TLS from the first byte with `implicit_tls`. `users` demands a login.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        users: dict[str, str] | None = None,
        port: int = 0,
    ) -> None:
        super().__init__()
        self.port = port
        self.rcpt: dict[str, str] = {}
        self.hang = False
        self.attempts = 0
        self._tls, self._implicit, self._users = tls, implicit_tls, users
        self._script: deque[str] = deque()
        self._server: asyncio.Server | None = None
        self._open: list[SMTP] = []

    def __repr__(self) -> str:
        return f"<SmtpServer {len(self.messages)} mails, {self.attempts} attempts>"

    @property
    def smarthost(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def script(self, *answers: str) -> None:
        """Answer the next messages so instead of taking them."""
        self._script.extend(answers)

    async def start(self) -> None:
        """Listen; on the same port as before."""
        implicit = self._tls if self._implicit else None
        self._server = await asyncio.get_running_loop().create_server(
            self._session, "127.0.0.1", self.port, ssl=implicit
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._server is not None:
            self._server.close()
            for session in self._open:
                with contextlib.suppress(Exception):
                    session.transport.close()
            self._open.clear()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _session(self) -> SMTP:
        session = SMTP(
            self,
            hostname="receiver.test",
            loop=asyncio.get_running_loop(),
            tls_context=None if self._implicit else self._tls,
            auth_required=self._users is not None,
            # Over implicit TLS aiosmtpd does not see the TLS below it; and some tests log in without.
            auth_require_tls=False,
            authenticator=self._login if self._users is not None else None,
        )
        self._open.append(session)
        return session

    def _login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        assert self._users is not None
        name = data.login.decode()
        right = self._users.get(name) == data.password.decode()
        return AuthResult(success=right, handled=False, auth_data=name)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if (refusal := self.rcpt.get(address)) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        self.attempts += 1
        if self.hang:
            self._note()
            await asyncio.Event().wait()
        if self._script:
            self._note()
            return self._script.popleft()
        message = email.message_from_bytes(envelope.content, policy=default_policy)
        user = session.auth_data if session.authenticated else None
        mail = Mail(
            time.perf_counter(),
            envelope.mail_from,
            envelope.rcpt_tos,
            message,
            bool(session.ssl) or self._implicit,
            user,
        )
        self.messages.append(mail)
        self._note()
        return "250 taken"
