"""Email over SMTP, in HTML and text; all messages of an alert are one thread.

Sources: RFC 5322, 3.6.4 (Message-ID, In-Reply-To, References); RFC 3834 (Auto-Submitted).
"""

from __future__ import annotations

import hashlib
import socket
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from functools import cache
from typing import TYPE_CHECKING

import aiosmtplib
from jinja2 import PackageLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agents.notify.delivery import Delivery, Sent
from agents.notify.message import message_of, one_line
from agents.notify.retry import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Template

    from agents.notify.settings import EmailConfig, NotifySettings

_CONNECT_S = 5.0


class EmailIntegration:
    """One list of recipients behind one SMTP server."""

    def __init__(self, config: EmailConfig, settings: NotifySettings) -> None:
        self._config = config
        self._settings = settings
        host, _, port = config.smarthost.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)

    def render(self, delivery: Delivery) -> EmailMessage:
        return email_of(delivery, self._config, self._settings.page_url)

    async def send(self, delivery: Delivery, message: EmailMessage) -> Sent:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._config.tls,
            start_tls=False,  # asked for below, where its absence can be told from other errors
            timeout=self._settings.timeout,
            # The library's own default asks the DNS, and blocks the loop meanwhile.
            local_hostname=socket.gethostname(),
        )
        try:
            await self._connect(client)
            refused = await self._hand_over(client, delivery, message)
        finally:
            client.close()
        return Sent(reference=message["Message-ID"], error=_listed(refused))

    async def close(self) -> None:
        """Nothing to give up: each message has a connection of its own."""

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        try:
            await client.connect(timeout=min(_CONNECT_S, self._settings.timeout))
            if self._config.require_tls and not self._config.tls:
                await client.ehlo()
                if not client.supports_extension("starttls"):
                    raise DeliveryError("smtp_no_starttls", "the server offers no STARTTLS", permanent=True)
                await client.starttls()
            if self._config.auth_username is not None and self._config.auth_password is not None:
                await client.login(self._config.auth_username, self._config.auth_password.get_secret_value())
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error.code, error.message) from None
        except aiosmtplib.SMTPNotSupported as error:
            raise DeliveryError("smtp_not_supported", str(error), permanent=True) from None
        except TimeoutError:
            raise DeliveryError("connect_timeout", "no SMTP session in time", permanent=False) from None
        except (OSError, aiosmtplib.SMTPException) as error:
            raise DeliveryError("connect_error", f"{type(error).__name__}: {error}", permanent=False) from None

    async def _hand_over(
        self, client: aiosmtplib.SMTP, delivery: Delivery, message: EmailMessage
    ) -> dict[str, tuple[int, str]]:
        """Send to those who do not have it yet; the recipients refused for good, with the server's words."""
        to = [address for address in self._config.to if address not in delivery.accepted]
        sender = parseaddr(self._config.from_)[1]
        try:
            answers, _ = await client.sendmail(sender, [parseaddr(a)[1] for a in to], message.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as error:
            worst = min(error.recipients, key=lambda refusal: refusal.code)  # one that may pass later comes first
            raise _refused(worst.code, worst.message) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error.code, error.message) from None
        except TimeoutError:
            raise DeliveryError("timeout", "no answer in time", permanent=False) from None
        except (OSError, aiosmtplib.SMTPException) as error:
            raise DeliveryError("connection_lost", f"{type(error).__name__}: {error}", permanent=False) from None
        refused = {address: (answer.code, answer.message) for address, answer in answers.items()}
        delivery.accepted.update(a for a in to if parseaddr(a)[1] not in refused)
        if any(code < 500 for code, _ in refused.values()):
            raise DeliveryError("partly_refused", _listed(refused), permanent=False)
        return refused


def _refused(code: int, words: str) -> DeliveryError:
    return DeliveryError(f"smtp_{code}", one_line(words), permanent=code >= 500)


def _listed(refused: dict[str, tuple[int, str]]) -> str:
    return "; ".join(f"{address}: {code} {one_line(words)}" for address, (code, words) in refused.items())


def email_of(delivery: Delivery, config: EmailConfig, page_url: str | None) -> EmailMessage:
    """The message; the same for every attempt, Message-ID included, so that servers can drop a second copy."""
    words = message_of(delivery.alert, page_url)
    domain = one_line(parseaddr(config.from_)[1].rpartition("@")[2]) or "localhost"
    thread = hashlib.sha256(f"{delivery.alert.id}/{delivery.receiver}/{delivery.integration}".encode()).hexdigest()[:32]
    message = EmailMessage(policy=SMTP_POLICY)
    headers: Iterable[tuple[str, str]] = (
        ("From", config.from_),
        ("To", ", ".join(config.to)),
        ("Subject", words.title),
        ("Date", format_datetime(datetime.fromtimestamp(delivery.alert.at / 1000, UTC))),
        ("Message-ID", f"<{delivery.idempotency_key}@{domain}>"),
        # No message has this id: it is the thread's root, which every message of the alert can name without
        # knowing what was sent before.
        ("In-Reply-To", f"<alert-{thread}@{domain}>"),
        ("References", f"<alert-{thread}@{domain}>"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Probestream-Alert", one_line(delivery.alert.id)),
    )
    for name, value in headers:
        message[name] = value
    message.set_content(_template("email.txt.j2").render(message=words))
    message.add_alternative(_template("email.html.j2").render(message=words), subtype="html")
    return message


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=PackageLoader("agents.notify"),
        autoescape=lambda name: name is not None and ".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
    )
