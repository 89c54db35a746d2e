"""Who keeps an alert from being told, in words: a silence, a window, another alert, a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.changes import record_of
from streams.control_bodies import BodyError, parse_body
from streams.explain.words import clock
from streams.silences import Silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas import Alert
    from streams.changes import Changes
    from streams.explain.setup import Setup

_OTHERS = {
    "cause_down": "the cause is down",
    "waiting_for_cause": "waiting whether its cause is down",
    "waiting_after_cause": "its cause has just come up again, and it has a moment to recover",
    "inhibited": "inhibited",
}


class Who:
    """Finds by its id what a transition names in `by`."""

    def __init__(self, changes: Changes, setup: Setup, alerts: Mapping[str, Sequence[Alert]]) -> None:
        self.changes, self.setup, self.alerts = changes, setup, alerts

    def quiet(self, alert: Alert) -> str:
        """What keeps `alert`, a suppressed or snoozed transition, quiet: who, until when, and why."""
        until = "" if alert.until is None else f" until {clock(alert.until, alert.at)}"
        match alert.reason if alert.state == "suppressed" else alert.state:
            case "snoozed":
                return f"snoozed by {alert.actor}{until}{_quoted(alert.comment)}"
            case "acknowledged":
                return f"acknowledged by {alert.actor}{_quoted(alert.comment)}"
            case "silenced":
                return f"silenced{until} by {self.silence(alert.by, alert.at)}"
            case "maintenance":
                return f"in maintenance{until}: {self.window(alert.by, alert.at)}"
            case reason:
                other = f" by {self.alert(alert.by)}" if alert.by else ""
                return f"{_OTHERS.get(reason, reason.replace('_', ' '))}{other}{until}"

    def silence(self, key: str, at: float) -> str:
        """A silence as it stood: ``silence 3f2a of ada (team="web"): "deploy"``."""
        found = self._stood("silence", key, at) or next((s for s in self.setup.silences if s.name == key), None)
        if not isinstance(found, Silence):
            return f"silence {key}"
        author = f" of {found.author}" if found.author else ""
        return f"silence {key}{author} ({', '.join(found.matchers)}){_quoted(found.comment)}"

    def window(self, key: str, at: float) -> str:
        """A maintenance window as it stood, and its comment."""
        found = self._stood("maintenance", key, at) or next((w for w in self.setup.maintenance if w.name == key), None)
        return f"window {key}{_quoted(found.comment)}" if found is not None else f"window {key}"

    def _stood(self, kind: str, key: str, at: float) -> Any:
        """What a silence or a window was at a time, or, by clocks that differ, a moment later."""
        known = self.changes.history(kind, key)
        record = self.changes.at(kind, key, at) or (record_of(known[0][1]) if known else None)
        if record is None or record.deleted:
            return None
        try:
            return parse_body(kind, key, record.body)
        except BodyError:
            return None

    def alert(self, key: str) -> str:
        """Another alert: ``alert 4711 (down on host-1, since 03:12:00)``."""
        found = self.alerts.get(key)
        if not found:
            return f"alert {key}"
        first = found[0]
        return f"alert {key} ({first.rule} on {first.target}, since {clock(first.began)})"


def _quoted(comment: str) -> str:
    return f': "{comment}"' if comment else ""
