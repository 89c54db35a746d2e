"""Who keeps an alert from being told, in words: a silence, a window, another alert, a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.explain.words import clock
from streams.silences import Silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas import Alert
    from streams.control import Controls
    from streams.explain.setup import Setup

_OTHERS = {
    "cause_down": "the cause is down",
    "waiting_for_cause": "waiting whether its cause is down",
    "waiting_after_cause": "its cause has just come up again, and it has a moment to recover",
    "inhibited": "inhibited",
}


class Who:
    """Finds by its id what a transition names in `by`."""

    def __init__(self, controls: Controls, setup: Setup, alerts: Mapping[str, Sequence[Alert]]) -> None:
        self.controls, self.setup, self.alerts = controls, setup, alerts

    def quiet(self, alert: Alert) -> str:
        """What keeps `alert`, a suppressed or snoozed transition, quiet: who, until when, and why."""
        until = "" if alert.until is None else f" until {clock(alert.until, alert.at)}"
        match alert.reason if alert.state == "suppressed" else alert.state:
            case "snoozed":
                return f"snoozed by {alert.actor}{until}{_quoted(alert.comment)}"
            case "acknowledged":
                return f"acknowledged by {alert.actor}{_quoted(alert.comment)}"
            case "silenced":
                return f"silenced{until} by {self.silence(alert.by)}"
            case "maintenance":
                return f"in maintenance{until}: {self.window(alert.by)}"
            case reason:
                other = f" by {self.alert(alert.by)}" if alert.by else ""
                return f"{_OTHERS.get(reason, reason.replace('_', ' '))}{other}{until}"

    def silence(self, key: str) -> str:
        """A silence: ``silence 3f2a of ada (team="web"): "deploy"``."""
        found = self.controls.value("silence", key) or next((s for s in self.setup.silences if s.name == key), None)
        if not isinstance(found, Silence):  # it was taken out: what it was is in its history
            found = _last_silence(self.controls, key)
        if found is None:
            return f"silence {key}"
        author = f" of {found.author}" if found.author else ""
        return f"silence {key}{author} ({', '.join(found.matchers)}){_quoted(found.comment)}"

    def window(self, key: str) -> str:
        """A maintenance window and its comment."""
        found = self.controls.value("maintenance", key) or next(
            (w for w in self.setup.maintenance if w.name == key), None
        )
        return f"window {key}{_quoted(found.comment)}" if found is not None else f"window {key}"

    def alert(self, key: str) -> str:
        """Another alert: ``alert 4711 (down on host-1, since 03:12:00)``."""
        found = self.alerts.get(key)
        if not found:
            return f"alert {key}"
        first = found[0]
        return f"alert {key} ({first.rule} on {first.target}, since {clock(first.began)})"


def _last_silence(controls: Controls, key: str) -> Silence | None:
    for change in reversed(controls.history("silence", key)):
        for body in (change.new, change.old):
            if body is not None:
                return Silence.model_validate(body)
    return None


def _quoted(comment: str) -> str:
    return f': "{comment}"' if comment else ""
