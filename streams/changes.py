"""What was changed at run time, in the order of time: the control topic as it stood at each moment.

The topic keeps the last 50 versions of each kind and id, with what each replaced. Where that does not go back far
enough there is a gap, which says from when on it is known what was in force.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas import Control
from streams.control import FILE_UNKNOWN, Change, Controls
from streams.control_bodies import BodyError, parse_body
from streams.instants import iso
from streams.rules import Rule
from streams.suppression import KINDS as QUIETING

KINDS = ("rule", "threshold", *QUIETING)
FILE = "file"
_MOST_SHOWN = 3
_MOST_TEXT = 60
_INSTANTS = frozenset(("starts", "ends", "until", "muted_until"))


@dataclass(frozen=True, slots=True)
class Gap:
    """What `kind` `id` was before `at` (ms) is not known, or not all of it; `why` says which."""

    kind: str
    id: str
    at: float
    why: str


class Changes:
    """Every change that is known; `times` has when the broker took one, by kind, id and version, where that is known.

    `gaps` are in the order of their times.
    """

    def __init__(self, controls: Controls, times: Mapping[tuple[str, str, int], float] | None = None) -> None:
        known = times or {}
        self._of: dict[tuple[str, str], list[tuple[float, Change]]] = {}
        for change in reversed(controls.audit()):
            if change.kind in KINDS and change.outcome == "accepted":
                at = known.get((change.kind, change.id, change.version), change.at)
                self._of.setdefault((change.kind, change.id), []).append((at, change))
        self.gaps: list[Gap] = []
        self._before: dict[tuple[str, str], Control] = {}
        for (kind, name), own in self._of.items():
            own.sort(key=lambda c: c[1].version)
            record, why = _before(own)
            if record is not None:
                self._before[kind, name] = record
            if why:
                self.gaps.append(Gap(kind, name, own[0][0], why))
        self.gaps.sort(key=lambda g: (g.at, g.kind, g.id))

    @classmethod
    def of(cls, records: Iterable[tuple[float, Control]]) -> Changes:
        """Of all records of the topic in their order, each with when the broker took it (ms)."""
        controls, times = Controls(), dict[tuple[str, str, int], float]()
        for at, record in records:
            if controls.take(record) is not None:
                continue
            key = (record.kind, record.id, record.version)
            if record.kind == "audit":
                change = Change.of(record)
                key = (change.kind, change.id, change.version)
            times[key] = min(at, times.get(key, math.inf))
        return cls(controls, times)

    def history(self, kind: str, name: str) -> list[tuple[float, Change]]:
        """The changes of one thing, oldest first, each with its time (ms)."""
        return self._of.get((kind, name), [])

    def between(self, from_ms: float, to_ms: float, kinds: Iterable[str] = KINDS) -> list[tuple[float, Change]]:
        """What was changed after one time, up to another and then too, in the order of time."""
        wanted = set(kinds)
        found = [c for (kind, _), own in self._of.items() if kind in wanted for c in own if from_ms < c[0] <= to_ms]
        return sorted(found, key=_order)

    def standing(self, at_ms: float, kinds: Iterable[str] = KINDS) -> list[Control]:
        """What stood at a time: the latest record of each thing that was ever changed, in the order of kind and id."""
        wanted = set(kinds)
        found = [self.at(kind, name, at_ms) for kind, name in sorted(self._of) if kind in wanted]
        return [record for record in found if record is not None]

    def records(self, from_ms: float, to_ms: float, kinds: Iterable[str] = KINDS) -> list[tuple[float, Control]]:
        """What to feed a replay from one time to another: what stood when it begins, and each change at its time."""
        wanted = tuple(kinds)
        then = [(from_ms, record) for record in self.standing(from_ms, wanted)]
        return then + [(at, record_of(change)) for at, change in self.between(from_ms, to_ms, wanted)]

    def at(self, kind: str, name: str, at_ms: float) -> Control | None:
        """One thing as it stood at a time, also where it had been taken out; None where nothing is known of it then."""
        own = self._of.get((kind, name), ())
        latest = max((c for c in own if c[0] <= at_ms), key=lambda c: c[1].version, default=None)
        return self._before.get((kind, name)) if latest is None else record_of(latest[1])


def _order(one: tuple[float, Change]) -> tuple[float, int, str, int]:
    return one[0], KINDS.index(one[1].kind), one[1].id, one[1].version


def record_of(change: Change) -> Control:
    """The record of the topic that a change was."""
    return _record(change, change.new, change.version)


def _record(change: Change, body: Mapping[str, Any] | None, version: int) -> Control:
    return Control(
        kind=change.kind,
        id=change.id,
        version=version,
        deleted=body is None,
        actor=change.actor,
        at=change.at,
        body=orjson.dumps(body if body is not None else {}).decode(),
    )


def _before(own: list[tuple[float, Change]]) -> tuple[Control | None, str]:
    """What stood before the first of these changes of one thing, and what is not known of that."""
    _, first = own[0]
    there = _record(first, first.old, first.version - 1) if first.old is not None else None
    if first.version > 1:
        earlier = f"versions 1 to {first.version - 1}"
        if not first.nonce and there is None:
            return None, f"{earlier} are not known: whoever wrote them kept no history"
        # Without a body it was taken out before; whatever the file may say of it did not count.
        return there or _record(first, None, first.version - 1), f"of {earlier} only the last is known"
    if there is None and first.actor == FILE and first.new is not None and first.message != FILE_UNKNOWN:
        return _record(first, None, 0), ""  # it was new in the file, which has it now
    unknown = there is None and any(change.actor == FILE for _, change in own)
    return there, FILE_UNKNOWN if unknown else ""


def did(change: Change, declared: Mapping[str, Rule] | None = None) -> str:
    """What a change did, in words: ``value 100 → 300``; `declared` are the file's rules, for first changes of them."""
    if change.new is None:
        return "taken out"
    if change.old is None:
        rule = (declared or {}).get(change.id) if change.kind == "rule" and change.version == 1 else None
        if rule is not None:
            return _replaced(rule, change) or "set as the file has it"
        values = [f"{n} {_shown(v)}" for n, v in change.new.items() if n != "comment"]
        return f"set to {', '.join(values)}" if change.kind == "threshold" else "set"
    return difference(change.old, change.new) or "set again as it was"


def _replaced(rule: Rule, change: Change) -> str:
    """In what the first change of a rule differs from the rule of the file."""
    try:
        new = parse_body("rule", change.id, change.new or {})
    except BodyError:
        return "set"
    return difference(*(r.model_dump(mode="json", by_alias=True, exclude_unset=True) for r in (rule, new)))


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The fields in which two bodies differ, with what they were and are; empty where there is none."""
    fields = [n for n in dict.fromkeys([*old, *new]) if old.get(n) != new.get(n)]
    shown = [f"{n} {_shown(old.get(n), n)} → {_shown(new.get(n), n)}" for n in fields[:_MOST_SHOWN]]
    more = [f"and {len(fields) - _MOST_SHOWN} fields more"] if len(fields) > _MOST_SHOWN else []
    return ", ".join(shown + more)


def readable(field: str, value: Any) -> Any:
    """A field's value as people read it: times in ISO 8601 instead of milliseconds."""
    return iso(value) if field in _INSTANTS and isinstance(value, (int, float)) else value


def _shown(value: Any, field: str = "") -> str:
    if value is None:
        return "none"
    value = readable(field, value)
    text = value if isinstance(value, str) else orjson.dumps(value).decode().removesuffix(".0")
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
