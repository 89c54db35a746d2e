"""What was changed at run time, folded from the control topic: the latest of each kind and id, by version.

The log's order decides, alike for every reader: a record is accepted where its version follows the one that is there.
The topic is compacted, so the first record seen of an id may have any version. Compaction would keep a refused
record rather than the accepted one before it; therefore writers (see control_client) find out first, in a fenced
transaction, that they will be accepted. The earlier versions are records of their own, of kind ``audit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import ValidationError

from schemas import Control
from streams.control_bodies import DEMAND, BodyError, Threshold, parse_body, problems
from streams.instants import iso
from streams.rules import Rule, expand

KEEP_VERSIONS = 50
REFUSED_SLOTS = 500
FILE_UNKNOWN = "what the file said before is not known"
"""The message of a first change of something that the file had already, where nobody has kept what it said."""
# An acknowledgement is a fact, not an edit: each is as good as the one before.
_UNVERSIONED = ("ack", "audit", "file")


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that changes nothing: unknown_kind, bad_body or version_conflict, and what is wrong in words."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One accepted or refused change; `old` and `new` are bodies, None where there was or is nothing.

    `outcome` is accepted, conflict or invalid; `at` is milliseconds since the Unix epoch.
    """

    kind: str
    id: str
    version: int
    actor: str
    at: float
    outcome: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    note: str = ""
    message: str = ""
    nonce: str = ""
    sequence: int = 0

    def body(self) -> dict[str, Any]:
        """The change as the body of an ``audit`` record."""
        names = ("kind", "id", "version", "outcome", "old", "new", "note", "message", "nonce", "sequence")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(cls, record: Control) -> Change:
        """The change in an ``audit`` record. Raises TypeError where it is none."""
        values = orjson.loads(record.body)
        change = cls(**values, actor=record.actor, at=record.at)
        if not isinstance(change.version, int) or not isinstance(change.kind, str) or not isinstance(change.id, str):
            raise TypeError("an audit record has a kind, an id and a version")
        return change


class Named(Protocol):
    """What the configuration file declares, as far as it matters here."""

    @property
    def name(self) -> str: ...


class Controls:
    """The control topic as it stands."""

    def __init__(self) -> None:
        self._current: dict[tuple[str, str], Control] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._history: dict[tuple[str, str], dict[int, Change]] = {}
        self._refused: dict[str, Change] = {}
        self.sequence = 0

    def take(self, record: Control) -> Refused | None:
        """Take in a record; what is wrong with it where it is refused, and None where it is accepted."""
        key = (record.kind, record.id)
        there = self._current.get(key)
        if record.kind == DEMAND or record == there:  # over as soon as it is heard; or a producer that sent it again
            return None
        if there is not None and record.kind not in _UNVERSIONED and record.version != there.version + 1:
            return Refused("version_conflict", conflict_text(there, record.version - 1))
        try:
            value = None if record.deleted else parse_body(record.kind, record.id, record.body)
            if record.kind == "audit":
                self._remember(Change.of(record), record.id)
                return None
        except BodyError as error:
            unknown = error.problems[0][0] == "kind"
            return Refused("unknown_kind" if unknown else "bad_body", f"{record.kind}/{record.id:.100}: {error}")
        except (TypeError, ValueError) as error:
            return Refused("bad_body", f"{record.kind}/{record.id:.100}: {error}")
        self._current[key] = record
        values = self._values.setdefault(record.kind, {})
        values.pop(record.id, None)
        if value is not None:
            values[record.id] = value
        return None

    def _remember(self, change: Change, key: str) -> None:
        self.sequence = max(self.sequence, change.sequence)
        if change.outcome == "accepted":
            versions = self._history.setdefault((change.kind, change.id), {})
            versions[change.version] = change
            for old in [v for v in versions if v <= change.version - KEEP_VERSIONS]:
                del versions[old]
        else:
            self._refused[key] = change

    def forget(self, key: str) -> None:
        """Take in that the record with this Kafka key, ``kind/id``, was removed for good."""
        kind, _, name = key.partition("/")
        self._current.pop((kind, name), None)
        self._values.get(kind, {}).pop(name, None)
        if kind == "audit":
            of, _, rest = name.partition("/")
            it, _, version = rest.rpartition("/")
            if version.isdigit() and (versions := self._history.get((of, it))) is not None:
                versions.pop(int(version), None)
                if not versions:
                    del self._history[of, it]

    def current(self, kind: str, key: str) -> Control | None:
        """The latest accepted record, also where that one deleted it; None where there never was one."""
        return self._current.get((kind, key))

    def version(self, kind: str, key: str) -> int:
        """The latest accepted version; 0 where there never was one."""
        there = self._current.get((kind, key))
        return there.version if there is not None else 0

    def value(self, kind: str, key: str) -> Any:
        """The checked body, as the kind's model; None where it is deleted or never was."""
        return self._values.get(kind, {}).get(key)

    def live(self, kind: str) -> dict[str, Any]:
        """Every checked body of a kind, by id."""
        return dict(self._values.get(kind, {}))

    def records(self, kind: str) -> list[Control]:
        """The latest accepted record of each id of a kind, deleted ones too."""
        return [record for (k, _), record in self._current.items() if k == kind]

    def overlaid(self, kind: str, declared: Iterable[Named]) -> dict[str, Any]:
        """What is in force of a kind, by id: what the file declares, overlaid by what the log has."""
        return self.laid_over(kind, {d.name: d for d in declared})

    def laid_over(self, kind: str, declared: Mapping[str, Any]) -> dict[str, Any]:
        """As `overlaid`, of what the file declares by id."""
        gone = {record.id for record in self.records(kind) if record.deleted}
        return {k: v for k, v in {**declared, **self.live(kind)}.items() if k not in gone}

    def history(self, kind: str, key: str) -> list[Change]:
        """What is known of the accepted versions, oldest first: at most the last `KEEP_VERSIONS`."""
        found = dict(self._history.get((kind, key), {}))
        there = self._current.get((kind, key))
        if there is not None and there.version not in found:  # written by something that keeps no history
            found[there.version] = Change(
                kind=kind, id=key, version=there.version, actor=there.actor, at=there.at, outcome="accepted",
                old=None, new=body_of(there),
            )  # fmt: skip
        return [found[v] for v in sorted(found)]

    def audit(self) -> list[Change]:
        """Every change that is known, accepted and refused, newest first."""
        found = [c for kind, key in self._current if kind != "file" for c in self.history(kind, key)]
        gone = [c for k, versions in self._history.items() if k not in self._current for c in versions.values()]
        return sorted([*found, *gone, *self._refused.values()], key=lambda c: (c.at, c.version), reverse=True)

    def over(self, kinds: Iterable[str], before: float) -> list[str]:
        """Kafka keys of what ended before a time, with its history; also the history of what is gone already."""
        keys: list[str] = []
        for kind in kinds:
            ended = {
                record.id
                for record in self.records(kind)
                if max(record.at, *(getattr(self.value(kind, record.id), n, 0.0) for n in ("ends", "until"))) < before
            }
            keys += [f"{kind}/{key}" for key in ended]
            for (of, key), versions in self._history.items():
                gone = (of, key) not in self._current and max(c.at for c in versions.values()) < before
                if of == kind and (key in ended or gone):
                    keys += [f"audit/{kind}/{key}/{version}" for version in versions]
        return keys

    def rules(self, base: Iterable[Rule]) -> tuple[Rule, ...]:
        """The rules in force, as they are judged: those of the file, overlaid by those of the log, with thresholds."""
        live: dict[str, Rule] = self.live("rule")
        touched = {record.id for record in self.records("rule")}
        found: list[Rule] = []
        placed: set[str] = set()
        for rule in base:
            name = next((n for n in (rule.name, rule.pair) if n in touched), None)
            if name is None:
                found.append(rule)
            elif name in live and name not in placed:
                placed.add(name)
                found.append(live[name])
        found += [live[name] for name in sorted(live.keys() - placed)]
        thresholds: dict[str, Threshold] = self.live("threshold")
        return tuple(_in_force(rule, thresholds) for rule in expand(found))


def _in_force(rule: Rule, thresholds: Mapping[str, Threshold]) -> Rule:
    for name in (rule.pair, rule.name):
        if name and name in thresholds:
            try:
                rule = with_threshold(rule, thresholds[name])
            except BodyError:  # the rule was changed since, and has no such number any more: it stays as it stands
                continue
    return rule


def with_threshold(rule: Rule, threshold: Threshold) -> Rule:
    """`rule`, one of those that are judged, with other numbers, in the unit of its metric.

    Of a pair, each of the two takes the number of its severity. Raises BodyError where they do not fit the rule.
    """
    changes = dict(threshold.changes)
    of_pair = {name: changes.pop(name) for name in ("warning", "critical") if name in changes}
    if of_pair and not rule.pair:
        raise BodyError([(next(iter(of_pair)), f"rule {rule.name} has one threshold: give value")])
    if "value" in changes and rule.pair:
        raise BodyError([("value", f"rule {rule.pair} is a pair: give warning, or critical")])
    if rule.severity in of_pair:
        changes["value"] = of_pair[rule.severity]
    if changes and (not rule.metric or rule.all_ or rule.any_ or rule.not_ is not None):
        raise BodyError([(next(iter(changes)), f"rule {rule.name} has no threshold of its own: change the rule")])
    changed = rule.model_copy(update=changes)
    try:
        Rule.model_validate(changed.model_dump(by_alias=True, exclude_unset=True))
    except ValidationError as error:
        raise BodyError(problems(error)) from error
    return changed


def body_of(record: Control | None) -> dict[str, Any] | None:
    """The record's body as it was written; None where it deletes, or there is no record, or it is no object."""
    if record is None or record.deleted:
        return None
    try:
        body = orjson.loads(record.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def conflict_text(there: Control | None, expected: int) -> str:
    """What to tell somebody who edited version `expected` of what is `there` now."""
    if there is None:
        return f"you edited version {expected}, and there is none"
    done = "deleted" if there.deleted else "changed"
    return (
        f"{there.kind} {there.id} was {done} by {there.actor} at {iso(there.at)} and is at version {there.version}; "
        f"you edited version {expected}. Look at what is there now, and edit that"
    )
