"""What people said of alerts that did fire, from the alerts themselves: `control` forgets it when they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from probestream.backtest.episodes import PROGRAM
from schemas import Control
from streams.replay import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Alert

_KINDS = {
    "acknowledged": ("ack", False),
    "no_longer_acknowledged": ("ack", True),
    "snoozed": ("snooze", False),
    "no_longer_snoozed": ("snooze", True),
    "resolved_by_hand": ("resolve", False),
}
"""By the reason of the decision that it led to: the kind of the record, and whether it took something back."""


def answers(alerts: Iterable[tuple[float, Alert]]) -> list[Answer]:
    """Acknowledgements, snoozes and resolutions, in the order of time; `alerts` are transitions, as past() has them."""
    told: dict[tuple[str, int], Alert] = {}
    for _, alert in alerts:
        told.setdefault((alert.id, alert.number), alert)
    found: list[Answer] = []
    for (name, _), alert in sorted(told.items()):
        for decision in alert.decisions or [{"at": alert.at, "reason": alert.reason}]:
            if decision["reason"] not in _KINDS or alert.actor == PROGRAM:
                continue
            kind, deleted = _KINDS[decision["reason"]]
            body: dict[str, Any] = {"comment": alert.comment}
            if kind == "snooze" and not deleted:
                body["until"] = alert.until or 0.0
            found.append(
                Answer(
                    decision["at"],
                    alert.rule,
                    alert.target,
                    Control(
                        kind=kind, id=name, version=1, deleted=deleted, actor=alert.actor, at=decision["at"],
                        body=orjson.dumps(body).decode(),
                    ),
                )
            )  # fmt: skip
    return sorted(found, key=lambda a: (a.at, a.rule, a.target))
