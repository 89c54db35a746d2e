"""The two questions, asked of the log: why was this alert told, or not, and what of this target at that time."""

from __future__ import annotations

import asyncio
import difflib
import functools
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas import Alert, Notification
from streams import groups
from streams.admission import Declared
from streams.changes import Changes
from streams.explain import alert as of_alert
from streams.explain import target as of_target
from streams.explain.episode import Episode, told_before
from streams.explain.log import Extent, Log
from streams.explain.looking import Looking
from streams.explain.model import AlertStory, Source, TargetStory
from streams.explain.past import Past, moments, stood
from streams.explain.quiet import Who
from streams.explain.target import SOON_MS, Asked
from streams.explain.words import clock, listed, span
from streams.in_force import KINDS
from streams.kernel import kinds
from streams.labels import matches
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.replay import Terms as Detecting
from streams.routing import labels_of
from streams.rules.compile import compile_rules
from streams.rules.expand import expand
from streams.topics import SAMPLES
from streams.warm import warm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streams.alerting.terms import Terms
    from streams.control import Controls
    from streams.explain.setup import Setup
    from streams.rules import Rule

_BY_ALERTS = ("cause_down", "waiting_for_cause", "waiting_after_cause", "inhibited")
_WHOLE_UP_TO = 200_000  # records: of a shorter log all is read
_HOUR_MS = 3_600_000.0
_LEARNING_MS = 6 * _HOUR_MS
_LEARNT = (kinds.RATIO, kinds.ZSCORE, kinds.ROBUST, kinds.SURPRISE, kinds.ERROR_RATIO, kinds.CHANGE, kinds.FORECAST)
_IDLE_MS = 15_000.0
_ID = re.compile(r"[0-9a-f]{4,24}")


class UnknownError(LookupError):
    """There is no such alert or target, or more than one; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read at most: records of the samples' log, however far they reach back."""

    most_records: int = 2_000_000


def is_id(text: str) -> bool:
    """Whether a text may be an alert's id, or how one begins."""
    return _ID.fullmatch(text) is not None


async def explain(
    log: Log, controls: Controls, setup: Setup, subject: str, now: float, bounds: Bounds | None = None
) -> AlertStory | TargetStory:
    """The story of a target as it is now, or of an alert by its id, whichever `subject` is. Raises UnknownError."""
    named = any(t.name == subject for t in setup.targets)
    if named or not is_id(subject):
        return await explain_target(log, controls, setup, subject, now, bounds)
    try:
        return await explain_alert(log, controls, setup, subject, now)
    except UnknownError as no_alert:
        try:
            return await explain_target(log, controls, setup, subject, now, bounds)
        except UnknownError:
            raise no_alert from None


async def prepare() -> None:
    """Compile what is compiled at its first use, or load it: before anything that has a time limit."""
    await asyncio.to_thread(_warmed)


@functools.cache
def _warmed() -> float:
    return warm()


Older = Callable[[str], Awaitable[tuple[list[Alert], list[Notification]]]]


async def explain_alert(
    log: Log, controls: Controls, setup: Setup, alert: str, now: float, older: Older | None = None
) -> AlertStory:
    """The story of the alert whose id is, or begins with, `alert`. Raises UnknownError.

    `older` finds transitions and deliveries of what is no longer on the log, by the whole id.
    """
    mine, steps = await log.alert(alert), None
    if not mine and older is not None:
        mine, steps = await older(alert)
    if not mine:
        close = difflib.get_close_matches(alert, await log.alert_ids(), n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        raise UnknownError(f"no alert on the log has an id that begins with {alert[:100]!r}{meant}")
    if len(ids := list(dict.fromkeys(a.id for a in mine))) > 1:
        raise UnknownError(f"{len(ids)} alerts have an id that begins with {alert!r}: {listed(ids)}")
    first, last = mine[0], mine[-1]
    earlier = await log.alerts(_others(mine), [first.target], last.at + _HOUR_MS)
    past = Past(setup, Changes(controls))
    names = (first.rule, first.labels.get("alertname", ""))
    episode = Episode(
        mine,
        past.policies(first.rule, first.at, last.at),
        Who(past.changes, setup, _by_id(earlier)),
        steps=await log.deliveries([first.id], first.at) if steps is None else steps,
        told_before=told_before(earlier, first),
    )
    findings = await log.findings(first.target, first.rule, first.at, last.at)
    until = now if episode.active else last.at
    about = moments(past, set(names), first.target, labels_of(first), first.at, until)
    # A rule on other alerts is judged by the alert role, which tells no version.
    version = None if first.metric == "alerts" else first.rule_version
    of_it = [m for m in about if m.facts["kind"] not in ("rule", "threshold") or m.facts["id"] in names]
    return of_alert.story(episode, findings, setup, now, stood(past, names, first.at, version), of_it)


def _others(alerts: Iterable[Alert]) -> set[str]:
    """The ids of alerts that kept these quiet."""
    return {a.by for a in alerts if a.state == "suppressed" and a.by and a.reason in _BY_ALERTS}


def _by_id(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.id, []).append(alert)
    return found


async def explain_target(
    log: Log, controls: Controls, setup: Setup, target: str, at: float, bounds: Bounds | None = None
) -> TargetStory:
    """The story of a target at a time, in milliseconds. Raises UnknownError."""
    changes = Changes(controls)
    past = Past(setup, changes)
    terms = past.terms(at)
    rules = list(terms.rules.values())
    labels, configured = terms.labels_of(target), target in terms.labels
    grouped = {groups.group_of(r, labels) for r in rules if groups.is_grouped(r) and matches(r.match, labels)}
    about = {target, *grouped}
    alerts = await log.alerts((), about, at + SOON_MS)
    if not configured and not alerts and not await _is_known(log, terms, controls, setup, target):
        raise await _unknown(log, terms, target)
    episodes, later = await _episodes(log, alerts, past, Who(changes, setup, {}), at)
    own = [t for t in setup.targets if t.name == target]
    detecting = Detecting(
        rules=expand(setup.rules),
        labels={t.name: t.all_labels for t in own},
        partitions=log.kafka.partitions,
        accept=configured or setup.accept,
        declared={
            t.name: Declared(getattr(t, "baseline_ms", None), getattr(t, "baseline_error_rate", None)) for t in own
        },
        limits=Limits(setup.future_ms, setup.lateness_ms, setup.most_samples, setup.forget_ms),
        quantiles=setup.quantiles,
        controls=tuple(
            (t, c) for t, c in changes.records(-math.inf, at, KINDS) if c.kind != "target" or c.id == target
        ),
    )
    looking, source, notes = await _look(log, detecting, rules, target, at, bounds or Bounds())
    names = {r.name: (r.name, r.pair) for r in rules}
    applying = {n for r in rules if matches(r.match, labels) for n in names[r.name]}
    asked = Asked(
        target=target,
        at=at,
        labels=labels,
        configured=configured,
        accept=setup.accept,
        rules=rules,
        stood={name: stood(past, both, at) for name, both in names.items()},
        episodes=episodes,
        later=later,
        looking=looking,
        source=source,
        notes=notes,
        changes=moments(past, applying, target, labels, at - _HOUR_MS, at + SOON_MS),
    )
    return await asyncio.to_thread(of_target.story, asked)


async def _is_known(log: Log, terms: Terms, controls: Controls, setup: Setup, target: str) -> bool:
    """Whether there is, or was, such a target: in the file, on the control topic, or by its samples."""
    if any(t.name == target for t in setup.targets) or controls.current("target", target) is not None:
        return True
    return target in terms.labels or await log.knows_health(target) is not None


async def _unknown(log: Log, terms: Terms, target: str) -> UnknownError:
    known = sorted({*terms.labels, *await log.health_names()})
    close = difflib.get_close_matches(target, known, n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(close)}?" if close else f"; there are {listed(known) or 'none at all'}"
    return UnknownError(f"no target is named {target[:200]!r}{meant}")


async def _episodes(
    log: Log, alerts: Sequence[Alert], past: Past, who: Who, at: float
) -> tuple[Mapping[str, Episode], list[Episode]]:
    """The last episode of each rule up to `at`, as it stood then, and those that are told in the minutes after."""
    whole = _by_id(alerts)
    others = await log.alerts(_others(alerts), ())
    who.alerts = {**whole, **_by_id(others)}
    last: dict[str, list[Alert]] = {}
    for transitions in sorted(whole.values(), key=lambda known: known[0].at):
        if so_far := [a for a in transitions if a.at <= at]:
            last[so_far[0].rule] = so_far
    coming = [known for known in whole.values() if any(a.notify and a.at > at for a in known)]
    ids = {known[0].id for known in [*last.values(), *coming]}
    first = min((known[0].at for known in [*last.values(), *coming]), default=at)
    steps = await log.deliveries(ids, first, at + 2 * SOON_MS)

    def episode(known: list[Alert]) -> Episode:
        return Episode(
            known,
            past.policies(known[0].rule, known[0].at, max(at, known[-1].at)),
            who,
            steps=[s for s in steps if s.alert_id == known[0].id and s.number <= known[-1].number],
            told_before=told_before(alerts, known[0]),
        )

    return {rule: episode(known) for rule, known in last.items()}, [episode(known) for known in coming]


async def _look(
    log: Log, terms: Detecting, rules: Sequence[Rule], target: str, at: float, bounds: Bounds
) -> tuple[Looking | None, Source, list[str]]:
    """The target's samples up to `at`, folded; where they begin; and what there is to say of that."""
    partition = partition_of(target, terms.partitions)
    extent = await log.extent(SAMPLES, partition, at)
    source = Source(topic=SAMPLES.name, partition=partition)
    if extent.since is None or extent.end <= extent.first:
        has = "no record" if extent.since is None else f"records from {clock(extent.since)} on"
        source.said = f"{SAMPLES.name}/{partition} has {has}, none of the time up to {clock(at)}"
        return None, source, [source.said]
    looking = await asyncio.to_thread(Looking, target, partition, terms)
    since, first = _beginning(extent, rules, at, bounds)
    async for records in log.samples(partition, at, since, first):
        await asyncio.to_thread(looking.take, records)
    if looking.first is None or looking.last is None:
        source.said = f"{SAMPLES.name}/{partition} has no record of the hours up to {clock(at)}"
        return None, source, [source.said]
    source.first_offset, source.last_offset = looking.first.offset, looking.last.offset
    source.first_at, source.last_at = float(looking.first.time), float(looking.last.time)
    source.whole = looking.first.offset <= extent.first
    where = "the beginning of the log" if source.whole else f"record {source.first_offset}"
    source.said = (
        f"values are from {SAMPLES.name}/{partition}, folded again from {where} ({clock(source.first_at, at)}) "
        f"to record {source.last_offset} ({clock(source.last_at, at)})"
    )
    notes = [] if source.whole else ["what was learnt before that, and what had held since before, is not known"]
    if at - source.last_at > _IDLE_MS:
        notes.append(
            f"the last record is {span(at - source.last_at)} older than the time asked about: nothing told detection "
            f"that time passes; did it run?"
        )
    return looking, source, notes


def _beginning(extent: Extent, rules: Sequence[Rule], at: float, bounds: Bounds) -> tuple[float | None, int | None]:
    """From which time, and which offset at the earliest, to read: all of a short log, of a long one some hours."""
    records = extent.end - extent.first
    if records <= _WHOLE_UP_TO:
        return None, None
    conditions = compile_rules(tuple(rules))
    windows = conditions.window_s[~np.isnan(conditions.window_s)]
    longest = float(windows.max()) * 1000.0 if len(windows) else 0.0
    learning = _LEARNING_MS if np.isin(conditions.kind, _LEARNT).any() else 0.0
    return at - _HOUR_MS - longest - learning, extent.end - bounds.most_records
