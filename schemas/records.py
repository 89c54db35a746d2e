"""Typed records: one dataclass a schema, with the schema's fields, in its order.

The fields' meaning and units are in the ``doc`` of each field of the ``.avsc`` files; a test holds the two
together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self


class Record:
    """What every record can do."""

    __slots__ = ()
    SCHEMA: ClassVar[str]

    @classmethod
    def schema_name(cls) -> str:
        """Name of the schema, which is its folder in ``avsc``."""
        return cls.SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as the Avro writer takes them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The record of these fields. Raises TypeError on a field that is missing or unknown."""
        return cls(**values)


@dataclass(slots=True, kw_only=True)
class SampleBatch(Record):
    """Samples of targets that share one Kafka partition; row i of every array is sample i."""

    SCHEMA: ClassVar[str] = "sample_batch"

    probe: str
    target: list[str]
    time: list[float]
    ok: list[bool]
    latency_ms: list[float]
    sequence: list[float] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Rollup(Record):
    """One pane (a slice of event time) of a block of targets; a later record replaces an earlier one."""

    SCHEMA: ClassVar[str] = "rollup"

    partition: int
    block: int
    pane_start: float
    pane_ms: int
    target: list[str]
    metric: list[str]
    count: list[float]
    errors: list[float]
    value_count: list[float]
    value_sum: list[float]
    value_min: list[float]
    value_max: list[float]


@dataclass(slots=True, kw_only=True)
class Finding(Record):
    """A rule began or ceased to hold for a target, and why."""

    SCHEMA: ClassVar[str] = "finding"

    target: str
    rule: str
    holds: bool
    time: float
    severity: str
    metric: str
    aggregate: str
    operator: str
    threshold: float
    value: float
    window_s: float = 0.0
    count: float = 0.0
    baseline: float | None = None
    score: float | None = None
    status: str = ""
    message: str = ""
    source_partition: int = -1
    source_offset: int = -1
    conditions: list[dict[str, Any]] = field(default_factory=list)
    rule_version: int = 0
    sequence: int = -1
    source_sample: int = -1
    good: int = 0
    wanted: int = 0


@dataclass(slots=True, kw_only=True)
class Alert(Record):
    """One transition in the life of an alert."""

    SCHEMA: ClassVar[str] = "alert"

    id: str
    number: int
    state: str
    previous: str
    reason: str
    notify: bool
    rule: str
    target: str
    severity: str
    at: float
    began: float
    fired: float | None = None
    resolved: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    metric: str = ""
    aggregate: str = ""
    operator: str = ""
    threshold: float | None = None
    value: float | None = None
    actor: str = "probestream"
    comment: str = ""
    source_partition: int = -1
    source_offset: int = -1
    by: str = ""
    until: float | None = None
    step: int = 0
    receivers: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    member_count: int = 0
    member_total: int = 0
    window_s: float = 0.0
    samples: float = 0.0
    baseline: float | None = None
    score: float | None = None
    status: str = ""
    message: str = ""
    conditions: list[dict[str, Any]] = field(default_factory=list)
    rule_version: int = 0
    decisions: list[dict[str, Any]] = field(default_factory=list)
    told_as: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Health(Record):
    """Latest status of a target."""

    SCHEMA: ClassVar[str] = "health"

    target: str
    status: str
    since: float
    time: float
    ok: bool
    latency_ms: float | None = None
    latency_mean_ms: float | None = None
    baseline_ms: float | None = None
    error_rate: float = 0.0
    count_1h: float = 0.0
    errors_1h: float = 0.0
    consecutive_failures: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    code: str = ""
    message: str = ""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Notification(Record):
    """One step in the delivery of one alert transition to one receiver."""

    SCHEMA: ClassVar[str] = "notification"

    alert_id: str
    number: int
    state: str
    receiver: str
    channel: str
    integration: int = 0
    outcome: str
    reason: str
    attempt: int
    repeat: bool = False
    idempotency_key: str
    at: float
    error: str = ""
    reference: str = ""
    rule: str = ""
    target: str = ""
    severity: str = ""
    source_partition: int = -1
    source_offset: int = -1


@dataclass(slots=True, kw_only=True)
class Control(Record):
    """A change made at run time: a rule, silence, acknowledgement, maintenance, target or preference."""

    SCHEMA: ClassVar[str] = "control"

    kind: str
    id: str
    version: int
    deleted: bool = False
    actor: str
    at: float
    body: str = "{}"


@dataclass(slots=True, kw_only=True)
class DeadLetter(Record):
    """A message that could not be used, whole, with the reason."""

    SCHEMA: ClassVar[str] = "dead_letter"

    hop: str
    reason: str
    error: str
    topic: str
    partition: int
    offset: int
    at: float
    key: bytes | None = None
    value: bytes | None = None
    headers: list[dict[str, Any]] = field(default_factory=list)
    count: int = 1


@dataclass(slots=True, kw_only=True)
class LogBatch(Record):
    """Log lines of one target; entry i of every array is line i."""

    SCHEMA: ClassVar[str] = "log_batch"

    target: str
    time: list[float] = field(default_factory=list)
    level: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)


RECORDS: dict[str, type[Record]] = {
    r.SCHEMA: r
    for r in (
        SampleBatch,
        Rollup,
        Finding,
        Alert,
        Health,
        Notification,
        Control,
        DeadLetter,
        LogBatch,
    )
}
