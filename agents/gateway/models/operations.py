"""The gateway itself, its schedule, its live connections, and what became of messages."""

from __future__ import annotations

from agents.gateway.models.base import Model


class Ping(Model):
    """The gateway is there."""

    success: bool
    service: str
    time: str


class Job(Model):
    """The checks of one target."""

    target: str
    trigger: str
    every_s: float
    last_run: str | None
    next_run: str | None
    overdue: bool


class Scheduler(Model):
    """The checks of all targets."""

    success: bool
    running: bool
    jobs: int
    next_run: str | None
    trigger: str
    targets: list[Job]


class LiveClient(Model):
    """One live connection."""

    id: str
    address: str
    user_agent: str
    connected_since: str
    last_pong: str | None
    messages_sent: int
    queued: int


class LiveStats(Model):
    """The live connections."""

    success: bool
    connected: int
    max_clients: int
    total_connections: int
    messages_sent: int
    dropped_slow: int
    dropped_silent: int
    rejected: int
    clients: list[LiveClient]


class NotificationStats(Model):
    """Deliveries by channel and outcome since the gateway read on, and those that may have come twice."""

    success: bool
    channels: dict[str, dict[str, int]]
    repeats: int


class DeadLetterCount(Model):
    """How many messages a hop refused for a reason."""

    hop: str
    reason: str
    count: int


class DeadLetterItem(Model):
    """A message that could not be used."""

    hop: str
    reason: str
    error: str
    topic: str
    partition: int
    offset: int
    at: str | None
    count: int
    value_bytes: int


class DeadLetterList(Model):
    """The last dead letters, newest first."""

    success: bool
    counts: list[DeadLetterCount]
    dead_letters: list[DeadLetterItem]


class LogsAnswer(Model):
    """How many log lines were taken, and of which targets."""

    success: bool = True
    lines: int
    targets: dict[str, int]
