"""Whether an alert is to be kept quiet now, why, and until when. It never says whether it fires: watching goes on.

`Suppressions` is fed the control topic's records and every alert's latest state, of all partitions, and answers from
these and the time alone: every reader of the same log gives the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from schemas import Control
from streams.silences import Silence

FIRING = ("firing", "acknowledged", "snoozed", "suppressed", "escalated")


@dataclass(frozen=True, slots=True)
class AlertView:
    """What the decision needs to know of an alert; `began` is milliseconds since the Unix epoch."""

    id: str
    rule: str
    target: str
    labels: Mapping[str, str] = field(compare=False)
    severity: str
    state: str
    began: float


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Keep quiet: `reason` for programs, `by` what does it (the id of a silence, window or alert).

    `until` is the first time, in milliseconds, at which to ask again though nothing else has happened; None where
    only a change of an alert or a control record can end it.
    """

    reason: str
    by: str
    until: float | None = None


class Suppressions:
    """Every silence, and what else keeps alerts quiet.

    To come, all by name and optional: `dependencies` (of the targets), `inhibit_rules` and `maintenance` of the file.
    """

    def __init__(self) -> None:
        self._silences: dict[str, Silence] = {}

    def take(self, record: Control) -> None:
        """Take in a record of the control topic; kinds that suppress nothing are passed over."""
        if record.kind != "silence":
            return
        self._silences.pop(record.id, None)
        if not record.deleted:
            try:
                self._silences[record.id] = Silence.model_validate(orjson.loads(record.body))
            except (ValidationError, orjson.JSONDecodeError):
                return

    def note(self, alert: AlertView) -> None:
        """Take in an alert's latest state, whatever it is."""

    def decide(self, alert: AlertView, now: float) -> Suppressed | None:
        """Why `alert` is not to be told at `now` (milliseconds), or None where it is."""
        for key, silence in self._silences.items():
            if silence.state(now) == "active" and silence.hits(alert.labels):
                return Suppressed("silenced", key, silence.ends)
        return None

    def taken_down(self, target: str) -> list[str]:
        """Every target that depends on `target`, directly or not, in order of name."""
        del target
        return []
