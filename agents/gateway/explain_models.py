"""The answers of /api/v1/explain as /openapi.json describes them; streams/explain/model.py says what each part is."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from agents.gateway.models import Model


class Condition(Model):
    """One condition of a rule, and what it saw; `holds` is null where that is unknown."""

    text: str
    value: float | None
    threshold: float | None
    count: float
    window_s: float
    min_samples: float
    holds: bool | None
    said: str


class Moment(Model):
    """One thing that happened."""

    at: str
    what: str = Field(description="finding, decision, delivery or control")
    said: str
    facts: dict[str, Any]


class RouteTaken(Model):
    """A receiver that the routes found, and by which way."""

    receiver: str
    channels: list[str]
    because: list[str]


class Source(Model):
    """What was read of the samples' log."""

    topic: str
    partition: int
    first_offset: int | None
    last_offset: int | None
    first_at: str | None
    last_at: str | None
    whole: bool
    said: str


class ExplainedAlert(Model):
    """The life of one alert."""

    alert: str
    rule: str
    target: str
    severity: str
    state: str
    began: str
    fired: str | None
    resolved: str | None
    told: bool
    answer: str
    conditions: list[Condition]
    baseline: float | None
    score: float | None
    status: str
    message: str
    source: Source | None
    timeline: list[Moment]
    routes: list[RouteTaken]
    notes: list[str]
    version: int
    set_by: str
    set_at: str | None
    changed: str


class ExplainedRule(Model):
    """One rule and the target: whether it applies, what it saw, and how far its alert had got."""

    rule: str
    severity: str
    applies: bool
    said: str
    why_not: str
    expression: str
    holds: bool | None
    conditions: list[Condition]
    state: str
    alert: str
    told: bool
    version: int
    set_by: str
    set_at: str | None
    changed: str


class ExplainedSample(Model):
    """A sample as it came."""

    offset: int
    time: str | float | None
    received: str
    ok: bool
    latency_ms: float | None
    status: str
    message: str
    metrics: dict[str, float | None]
    probe: str


class ExplainedTarget(Model):
    """A target at a time."""

    target: str
    at: str
    known: bool
    told: bool
    answer: str
    labels: dict[str, str]
    status: str
    status_since: str | None
    failures: int
    samples: list[ExplainedSample]
    refused: dict[str, int]
    rules: list[ExplainedRule]
    timeline: list[Moment]
    source: Source | None
    notes: list[str]


class Explained(Model):
    """The story of an alert, or of a target."""

    success: bool
    explanation: ExplainedAlert | ExplainedTarget
