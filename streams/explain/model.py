"""An explanation as data. Times are milliseconds since the Unix epoch, UTC; `said` and `answer` are for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Condition:
    """One condition of a rule, and what it saw; `holds` is None where that is unknown, `value` where there is none."""

    text: str
    value: float | None
    threshold: float
    count: float = 0.0
    window_s: float = 0.0
    min_samples: float = 0.0
    holds: bool | None = None
    said: str = ""


@dataclass(slots=True, kw_only=True)
class Moment:
    """One thing that happened: `what` is finding, decision, delivery or control."""

    at: float
    what: str
    said: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class RouteTaken:
    """A receiver that the routes found, and by which way; `because` has each step in words."""

    receiver: str
    channels: list[str]
    because: list[str]


@dataclass(slots=True, kw_only=True)
class Source:
    """What was read of the samples' log; `whole` is whether that is all it has up to the time asked about."""

    topic: str
    partition: int
    first_offset: int | None = None
    last_offset: int | None = None
    first_at: float | None = None
    last_at: float | None = None
    whole: bool = True
    said: str = ""


@dataclass(slots=True, kw_only=True)
class AlertStory:
    """The life of one alert; `told` is whether anybody was.

    `version` is that of its rule when it began, 0 for the file's; `set_by` and `set_at` say who had made it when;
    `changed` has that in words, and what has been changed since.
    """

    alert: str
    rule: str
    target: str
    severity: str
    state: str
    began: float
    fired: float | None
    resolved: float | None
    told: bool
    answer: str
    conditions: list[Condition] = field(default_factory=list)
    baseline: float | None = None
    score: float | None = None
    status: str = ""
    message: str = ""
    source: Source | None = None
    timeline: list[Moment] = field(default_factory=list)
    routes: list[RouteTaken] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    version: int = 0
    set_by: str = ""
    set_at: float | None = None
    changed: str = ""


@dataclass(slots=True, kw_only=True)
class RuleStory:
    """One rule and a target: whether it applies (`why_not`), what it saw, and how far its alert had got.

    `holds` is None where no judgement is known. `state` is that of its alert, empty where there was none. `version`,
    `set_by`, `set_at` and `changed` are as in `AlertStory`, of the rule as it stood at the time asked about.
    """

    rule: str
    severity: str
    applies: bool
    said: str
    why_not: str = ""
    expression: str = ""
    holds: bool | None = None
    conditions: list[Condition] = field(default_factory=list)
    state: str = ""
    alert: str = ""
    told: bool = False
    version: int = 0
    set_by: str = ""
    set_at: float | None = None
    changed: str = ""


@dataclass(slots=True, kw_only=True)
class Sample:
    """A sample as it came."""

    offset: int
    time: float
    received: float
    ok: bool
    latency_ms: float | None
    status: str = ""
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    probe: str = ""


@dataclass(slots=True, kw_only=True)
class TargetStory:
    """A target at a time; `told` is whether somebody had been told of what was wrong with it then."""

    target: str
    at: float
    known: bool
    told: bool
    answer: str
    labels: dict[str, str] = field(default_factory=dict)
    status: str = "unknown"
    status_since: float | None = None
    failures: int = 0
    samples: list[Sample] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    rules: list[RuleStory] = field(default_factory=list)
    timeline: list[Moment] = field(default_factory=list)
    source: Source | None = None
    notes: list[str] = field(default_factory=list)
