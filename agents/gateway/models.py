"""The shapes of the API's answers, for /openapi.json; they are built in present.py, and tests hold the two together."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(Model):
    """What went wrong: `code` for programs, `message` for people."""

    code: str
    message: str


class Error(Model):
    """Every error."""

    success: bool = False
    error: ErrorDetail


class Target(Model):
    """Anything watched, with its latest health; null where nothing is known yet."""

    name: str
    kind: str
    platform: str
    labels: dict[str, str]
    every_s: float | None
    status: str = Field(description="healthy, degraded, unhealthy or unknown")
    since: str | None
    last_check: str | None
    active_alerts: int
    ok: bool | None
    latency_ms: float | None
    latency_mean_ms: float | None
    baseline_ms: float | None
    error_rate: float | None
    count_1h: float | None
    errors_1h: float | None
    uptime_1h: float | None
    consecutive_failures: int | None
    metrics: dict[str, float | None]
    rules: list[str]
    code: str
    message: str


class Analysis(Model):
    """What to make of a platform's state."""

    should_alert: bool
    severity: str | None
    message: str
    recommended_action: str


class Platform(Model):
    """The targets that share the label `platform`, taken together."""

    platform: str
    status: str
    response_time: float | None
    error_rate: float | None
    rate_limit_used: float | None
    rate_limit_total: float | None
    last_check: str | None
    analysis: Analysis
    targets: list[str]


class SeenCondition(Model):
    """One condition of a rule, and what it saw when the rule was last decided."""

    text: str
    value: float | None
    threshold: float | None
    holds: bool | None = Field(description="null where that is unknown")
    count: float
    window_s: float


class Decision(Model):
    """One decision about an alert, also one that changed nothing."""

    at: str | None
    reason: str
    detail: str
    words: str = Field(description="what the reason means")


class Alert(Model):
    """One transition of an alert; where an alert is meant, its latest."""

    id: str
    number: int
    state: str
    previous: str
    reason: str
    words: str = Field(description="what the reason means")
    active: bool
    rule: str
    target: str
    severity: str
    at: str | None
    began: str | None
    fired: str | None
    resolved: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    metric: str
    aggregate: str
    operator: str
    threshold: float | None
    value: float | None
    actor: str
    comment: str
    notify: bool
    by: str = Field(description="the silence, window or alert that keeps it quiet; empty where nothing does")
    until: str | None = Field(description="when the snooze, or what keeps it quiet, ends at the earliest")
    step: int = Field(description="how many steps of its escalation were taken")
    receivers: list[str] = Field(description="told besides those of the routes, by the escalation")
    members: list[str] = Field(description="targets of the group for which the rule holds, at most 100")
    member_count: int
    member_total: int
    window_s: float
    samples: float
    baseline: float | None
    score: float | None
    status: str
    message: str
    conditions: list[SeenCondition]
    rule_version: int
    decisions: list[Decision] = Field(description="since the transition before; the last one led to this one")


class Notification(Model):
    """One step in the delivery of one transition to one receiver."""

    alert_id: str
    number: int
    state: str
    receiver: str
    channel: str
    integration: int
    outcome: str
    reason: str
    attempt: int
    repeat: bool
    at: str | None
    error: str
    reference: str


class Ping(Model):
    """The gateway is there."""

    success: bool
    service: str
    time: str


class PlatformList(Model):
    """One platform or several."""

    success: bool
    platforms: list[Platform]


class Status(PlatformList):
    """Every platform."""

    status: str
    time: str


class CheckResult(PlatformList):
    """What a check on demand found; `missing` did not answer in time."""

    complete: bool
    checked: list[str]
    missing: list[str]
    not_checkable: list[str]


class AlertList(Model):
    """A page of alerts, newest first."""

    success: bool
    alerts: list[Alert]
    next_cursor: str | None


class AlertAnswer(Model):
    """One alert."""

    success: bool
    alert: Alert


class AlertStory(AlertAnswer):
    """One alert with all that happened to it, oldest first."""

    transitions: list[Alert]
    notifications: list[Notification]


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


class TargetList(Model):
    """Every target, in the configuration's order."""

    success: bool
    targets: list[Target]


class TargetAnswer(Model):
    """One target and its active alerts."""

    success: bool
    target: Target
    alerts: list[Alert]


class Extent(Model):
    """What was measured in a step: response times in milliseconds, or values of a metric in its unit."""

    mean: float
    min: float | None
    max: float | None


class Point(Model):
    """The samples of one step."""

    time: str
    count: float
    errors: float
    error_rate: float | None
    latency_ms: Extent | None
    value: Extent | None = Field(default=None, description="of the metric that was asked for; absent without one")


class Series(Model):
    """A target over time, oldest first; steps without samples are left out."""

    success: bool
    target: str
    step_s: float
    source: str = Field(description="memory, history, or none where there is no history to ask")
    metric: str = Field(default="", description="the metric that was asked for; absent without one")
    points: list[Point]


class UptimeAnswer(Model):
    """Share of the checks that succeeded."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    success: bool
    target: str
    from_: str = Field(alias="from")
    to: str
    count: float
    errors: float
    uptime: float | None
    source: str


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


class CheckRequest(Model):
    """What to check now; without a field, everything."""

    targets: list[str] | None = Field(default=None, max_length=10_000)
    platform: str | None = Field(default=None, max_length=200)


class LogsAnswer(Model):
    """How many log lines were taken, and of which targets."""

    success: bool = True
    lines: int
    targets: dict[str, int]


class AcknowledgeRequest(Model):
    """Who takes the alert on, and what they say."""

    comment: str = Field(default="", max_length=2000)
    actor: str = Field(default="api", min_length=1, max_length=200)


class SubjectVersion(Model):
    """A version of a schema under its subject."""

    subject: str
    version: int


class SchemaText(Model):
    """A schema by id."""

    schema_: str = Field(alias="schema")


class RegisteredSchema(SchemaText):
    """A schema as registered under a subject."""

    subject: str
    version: int
    id: int


class Compatibility(Model):
    """How versions of a schema must fit together."""

    compatibilityLevel: str  # noqa: N815 - Confluent's name


class RegistryError(Model):
    """An error in Confluent's form."""

    error_code: int
    message: str
