"""The control topic as it stood at a time: what was changed since is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from schemas import Control
from streams.control import Controls
from streams.explain.words import clock

if TYPE_CHECKING:
    from streams.control import Change
    from streams.rules import Rule

_KINDS = ("rule", "threshold", "target", "silence", "maintenance")


def controls_at(controls: Controls, at_ms: float) -> Controls:
    """`controls` as they stood at `at_ms`, as far as their history goes back (the last 50 versions of each)."""
    latest: dict[tuple[str, str], Change] = {}
    later: dict[tuple[str, str], Change] = {}
    for change in controls.audit():  # the newest first
        key = (change.kind, change.id)
        if change.kind not in _KINDS or change.outcome != "accepted":
            continue
        if change.at > at_ms:
            later[key] = change
        else:
            latest.setdefault(key, change)
    past = Controls()
    for change in latest.values():
        past.take(_record(change, change.new, change.version))
    for key, change in later.items():
        # Its first known version came later, over one that is not kept.
        if key not in latest and change.old is not None:
            past.take(_record(change, change.old, max(change.version - 1, 1)))
    return past


def changed(rule: Rule, now: Controls, then: Controls, at_ms: float) -> str:
    """Who had changed a rule, or its threshold, by `at_ms`, and who has since; empty where nobody has."""
    said: list[str] = []
    for kind in ("rule", "threshold"):
        for name in dict.fromkeys(n for n in (rule.name, rule.pair) if n):
            before, latest = then.current(kind, name), now.current(kind, name)
            what = "" if kind == "rule" else "its threshold "
            if before is not None and not before.deleted:
                said.append(f"{what}changed by {before.actor} at {clock(before.at, at_ms)}")
            if latest is not None and latest.at > at_ms:
                done = "taken out" if latest.deleted else "changed"
                said.append(f"{what}{done} since by {latest.actor} at {clock(latest.at, at_ms)}")
    return "; ".join(said)


def _record(change: Change, body: dict[str, object] | None, version: int) -> Control:
    return Control(
        kind=change.kind,
        id=change.id,
        version=version,
        deleted=body is None,
        actor=change.actor,
        at=change.at,
        body=orjson.dumps(body if body is not None else {}).decode(),
    )
