"""Targets, platforms, and what was measured of them."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from agents.gateway.models.base import Model


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


class PlatformList(Model):
    """One platform or several."""

    success: bool
    platforms: list[Platform]


class Status(PlatformList):
    """Every platform."""

    status: str
    time: str


class CheckRequest(Model):
    """What to check now; without a field, everything."""

    targets: list[str] | None = Field(default=None, max_length=10_000)
    platform: str | None = Field(default=None, max_length=200)


class CheckResult(PlatformList):
    """What a check on demand found; `missing` did not answer in time."""

    complete: bool
    checked: list[str]
    missing: list[str]
    not_checkable: list[str]


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


class TargetList(Model):
    """Every target, in the configuration's order."""

    success: bool
    targets: list[Target]
