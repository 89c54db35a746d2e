"""One transition of one alert on its way to one integration of one receiver."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.letters import Source
from schemas import Alert, Notification

FINAL = frozenset({"delivered", "given_up", "skipped"})
_ERROR_CHARACTERS = 300


def ledger_key(alert_id: str, number: int, receiver: str, channel: str, integration: int) -> str:
    """Key on `notifications` of every step of one delivery."""
    return f"{alert_id}/{number}/{receiver}/{channel}/{integration}"


def of_key(key: str) -> tuple[str, int, str, int]:
    """Alert id, number, receiver and integration of a ledger key; an alert's id has no slash, a receiver's name may."""
    alert_id, number, rest = key.split("/", 2)
    receiver, _, integration = rest.rsplit("/", 2)
    return alert_id, int(number), receiver, int(integration)


def idempotency_key(key: str) -> str:
    """The same on every attempt, and safe in an HTTP header or a Message-ID whatever the receiver is called."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Delivery:
    """What is sent to whom, and what is known of earlier attempts. Times are milliseconds since the Unix epoch, UTC."""

    alert: Alert
    source: Source
    receiver: str
    channel: str
    integration: int
    attempt: int = 0
    repeat: bool = False
    since: float | None = None
    late: bool = False
    """Whether it was withheld in quiet hours, which are over."""
    accepted: set[str] = field(default_factory=set)
    """Recipients that have it, where an integration has several."""
    message: Any = None
    """What the integration sends, made once."""
    key: str = field(init=False)
    idempotency_key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = ledger_key(self.alert.id, self.alert.number, self.receiver, self.channel, self.integration)
        self.idempotency_key = idempotency_key(self.key)

    def note(self, outcome: str, reason: str, at: float, *, error: str = "", reference: str = "") -> Notification:
        """The ledger's record of this step."""
        return Notification(
            alert_id=self.alert.id,
            number=self.alert.number,
            state=self.alert.state,
            receiver=self.receiver,
            channel=self.channel,
            integration=self.integration,
            outcome=outcome,
            reason=reason,
            attempt=self.attempt,
            repeat=self.repeat,
            idempotency_key=self.idempotency_key,
            at=at,
            error=error[:_ERROR_CHARACTERS],
            reference=reference,
            rule=self.alert.rule,
            target=self.alert.target,
            severity=self.alert.severity,
            source_partition=self.source.partition,
            source_offset=self.source.offset,
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery that succeeded: what the channel calls the message, and what it complained of all the same."""

    reference: str = ""
    error: str = ""


class Integration(Protocol):
    """One configured destination of a channel, such as one Slack webhook."""

    def render(self, delivery: Delivery) -> Any:
        """The message as `send` takes it; the same on every attempt."""

    async def send(self, delivery: Delivery, message: Any) -> Sent:
        """Make one attempt. Raises DeliveryError; the caller sets the time limit."""

    async def close(self) -> None:
        """Give up connections."""
