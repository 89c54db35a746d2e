"""The shapes of the answers about changes at run time, for /openapi.json; tests hold them and the answers together."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from agents.gateway.models import Alert, ErrorDetail, Model


class Record(Model):
    """What is on the control topic under a kind and an id; `body` is null where it was deleted."""

    kind: str
    id: str
    version: int
    deleted: bool
    actor: str
    at: str
    body: dict[str, Any] | None


class Changed(Record):
    """A change that was accepted."""

    success: bool


class ConflictDetail(ErrorDetail):
    """Somebody was faster: what is there now."""

    current: Record | None = None


class Conflict(Model):
    """Status 409."""

    success: bool = False
    error: ConflictDetail


class ChangeLine(Model):
    """One change: who, when, from what to what; `outcome` is accepted, conflict or invalid."""

    kind: str
    id: str
    version: int
    outcome: str
    actor: str
    at: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    note: str
    message: str


class ChangeList(Model):
    """Changes of one thing, oldest first, or of all, newest first."""

    success: bool
    changes: list[ChangeLine]


class RuleItem(Model):
    """A rule in force, as it is judged; `version` is 0 where only the file knows it."""

    name: str
    severity: str
    source: str = Field(description="file or control")
    version: int
    threshold_version: int
    rule: dict[str, Any]


class RuleList(Model):
    """Every rule in force."""

    success: bool
    rules: list[RuleItem]


class RuleAnswer(RuleList):
    """One rule, or both of a pair, and what was written for it at run time."""

    current: Record | None


class SilenceItem(Model):
    """A silence; `state` is pending, active or expired."""

    id: str
    version: int
    state: str
    matchers: list[str]
    starts: str
    ends: str
    author: str
    comment: str


class SilenceList(Model):
    """Every silence, the last to end first."""

    success: bool
    silences: list[SilenceItem]


class TargetHit(Model):
    """A target and the rules whose alerts about it are hit."""

    target: str
    rules: list[str]


class Counts(Model):
    """How many are hit, also where the lists are cut."""

    alerts: int
    targets: int
    rules: int


class Preview(Model):
    """What would not be told."""

    success: bool
    alerts: list[Alert]
    targets: list[TargetHit]
    counts: Counts


class SilenceAnswer(Preview):
    """A silence and what it hits."""

    silence: SilenceItem


class Span(Model):
    """From when until when."""

    starts: str
    ends: str


class WindowItem(Model):
    """A maintenance window with its next occurrences."""

    name: str
    version: int
    active: bool
    next: list[Span]
    window: dict[str, Any]


class WindowList(Model):
    """Every window, by name."""

    success: bool
    maintenance: list[WindowItem]


class WindowPreview(Preview):
    """A window that is not made yet, and what it would hit."""

    maintenance: WindowItem


class Kept(Model):
    """What is in force under an id; `version` is 0 where only the file knows it."""

    id: str
    source: str = Field(description="file or control")
    version: int
    body: dict[str, Any]


class KeptList(Model):
    """Everything of a kind, by id."""

    success: bool
    kind: str
    items: list[Kept]
