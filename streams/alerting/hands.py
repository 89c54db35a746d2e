"""What people asked of alerts: acknowledge, snooze, resolve, and take any of it back.

The control topic is read from its beginning at each start, and what it says of an alert may come before the alert is
known here: it is kept until then. A life remembers the version of what it has taken in, so nothing counts twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from streams import life as lifecycle
from streams.instants import instant
from streams.topics import ALERTS
from streams.units import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas import Control
    from streams.life import Life

KINDS = ("ack", "snooze", "resolve")
_KEPT_MS = (ALERTS.days or 35) * 86_400_000.0


class Hands:
    """Control records about single alerts, by alert id, in the order in which they came."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[str, Control]] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def take(self, control: Control) -> None:
        """Keep what was asked; the last of a kind counts.

        Of two edits of one version the first does, as streams/control.py decides: the other's writer was told so. An
        acknowledgement is no edit.
        """
        asked = self._asked.setdefault(control.id, {})
        there = asked.get(control.kind)
        if there is not None and control.kind != "ack" and control.version != there.version + 1:
            return
        asked.pop(control.kind, None)
        asked[control.kind] = control

    def forget(self, alert: str) -> list[str]:
        """The alert has ended for good; the kinds of what was asked of it."""
        return list(self._asked.pop(alert, {}))

    def prune(self, now: float) -> None:
        """Forget what was asked of alerts that nobody can know any more."""
        old = [i for i, asked in self._asked.items() if max(c.at for c in asked.values()) < now - _KEPT_MS]
        for alert in old:
            del self._asked[alert]

    def apply(self, life: Life, now: float) -> bool:
        """Let `life` take in what was asked of it and is news to it; whether there was any.

        An acknowledgement of an alert that does not fire yet waits for it to fire.
        """
        news = False
        for control in self._of(life):
            given = [float(control.version), control.at]
            if life.state == "pending" and control.kind != "resolve":
                continue
            if life.active and life.taken.get(control.kind, [-1.0, 0.0]) < given:
                life.taken[control.kind] = given
                _apply(life, control, now)
                news = True
        return news

    def _of(self, life: Life) -> Iterator[Control]:
        return iter(list(self._asked.get(life.id, {}).values()))


def _apply(life: Life, control: Control, now: float) -> None:
    body = _body(control)
    comment = str(body.get("comment", ""))[:2000]
    match control.kind, control.deleted:
        case "ack", False:
            lifecycle.on_acknowledged(life, control.actor, comment, now)
        case "ack", True:
            lifecycle.on_handed_back(life, "acknowledged", control.actor, comment, now)
        case "snooze", False:
            lifecycle.on_snoozed(life, _until(body, control.at), control.actor, comment, now)
        case "snooze", True:
            lifecycle.on_handed_back(life, "snoozed", control.actor, comment, now)
        case "resolve", False:
            lifecycle.on_resolved(life, control.actor, comment, now)


def _until(body: dict[str, Any], at: float) -> float:
    """End of a snooze: `until`, an instant, or `for`, a duration from when it was asked; 0 where it is neither."""
    try:
        if "until" in body:
            return instant(body["until"])
        return at + seconds(body["for"]) * 1000.0
    except (KeyError, ValueError):
        return 0.0


def _body(control: Control) -> dict[str, Any]:
    try:
        body = orjson.loads(control.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
