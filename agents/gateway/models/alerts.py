"""Alerts, their transitions, and who was told."""

from __future__ import annotations

from pydantic import Field

from agents.gateway.models.base import Model
from agents.gateway.models.targets import Target


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


class AcknowledgeRequest(Model):
    """Who takes the alert on, and what they say."""

    comment: str = Field(default="", max_length=2000)
    actor: str = Field(default="api", min_length=1, max_length=200)


class TargetAnswer(Model):
    """One target and its active alerts."""

    success: bool
    target: Target
    alerts: list[Alert]
