"""A backtest from end to end: which part of the log, what each set of rules makes of it, and the report."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from probestream.backtest import labels as labelled
from probestream.backtest.answers import answers
from probestream.backtest.episodes import Episode, chosen, episodes
from probestream.backtest.reading import Detected, detect
from probestream.backtest.report import Trial, report
from probestream.backtest.side import CURRENT, LEAST_WARM_UP_S, Side, warm_up_s
from probestream.backtest.span import Nights, Span, moment
from probestream.suppressing import suppressions_of
from schemas import Alert, Control
from streams.changes import Changes
from streams.instants import iso
from streams.labels import unpassed
from streams.preview import alert_labels
from streams.refusals import meant
from streams.replay import Alerting
from streams.rules.compile import compile_rules
from streams.units import human

if TYPE_CHECKING:
    from probestream.backtest.labels import Label
    from probestream.backtest.log import Log, Part
    from probestream.config import Config
    from streams.replay import Answer
    from streams.rules import Rule

_MOST_GAPS = 20
_SAME_MS = 60_000.0  # a log that begins so much later than was asked for is whole, to a person


class EmptyError(ValueError):
    """There is nothing to replay."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to try, and on which part of the past. `config` has the rules, targets and whatever keeps alerts quiet.

    Of those named CURRENT rules and thresholds are as they stood at each moment: the file's, and what was changed.
    `alerts` and `controls` are what the topics have, with when the broker took each (ms); None: they were not read.
    """

    config: Config
    name: str
    from_: str = "30d"
    to: str = ""
    against: Config | None = None
    against_name: str = ""
    nights: Nights = field(default_factory=Nights)
    warm_up_s: float | None = None
    jobs: int = 1
    labels: tuple[Label, ...] = ()
    wanted: Callable[[Episode], bool] = lambda _: True
    only: tuple[str, ...] = ()  # the targets that are wanted, all where there is none
    match: tuple[str, ...] = ()  # matchers that alerts pass which are wanted
    alerts: Sequence[tuple[float, Alert]] | None = None
    controls: Sequence[tuple[float, Control]] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told how far it is: first the number of records in all, then records and samples as they are read."""

    begin: Callable[[int], None] = lambda _: None
    read: Callable[[int, int], None] = lambda *_: None
    stage: Callable[[str], None] = lambda _: None


def backtest(log: Log, asked: Asked, told: Told | None = None) -> dict[str, Any]:
    """The report, as JSON has it. Raises EmptyError, ValueError for times that cannot be used, and what reading raises.

    It depends on the log, the rules and what was asked alone.
    """
    told = told or Told()
    changes = Changes.of(asked.controls or ())
    sides = [Side(asked.name, asked.config, changes)]
    if asked.against is not None:
        sides.append(Side(asked.against_name, asked.against, changes))
    span, had, warm_from, parts = _part(log, asked, sides)
    terms = [side.terms(log.partitions, warm_from, span.to_ms) for side in sides]
    told.begin(sum(p.end - p.first for p in parts))
    read = [0, 0]

    def count(records: int, samples: int) -> None:
        read[0], read[1] = read[0] + records, read[1] + samples
        told.read(records, samples)

    detected = detect(log, parts, terms, asked.jobs, count)
    told.stage("following the alerts")
    said = answers(asked.alerts or ())
    trials = [_trial(side, found, asked, said, span, warm_from) for side, found in zip(sides, detected, strict=True)]
    fired = None
    if asked.alerts is not None:
        fired = chosen(episodes(a for at, a in asked.alerts if at <= span.to_ms), span, asked.wanted)
    told.stage("writing the report")
    marks = [*labelled.spoken(fired or ()), *asked.labels]
    return report(
        trials[0],
        span,
        nights=asked.nights,
        log={"from": had.from_ms, "to": had.to_ms, "warm_up_from": warm_from, "records": read[0], "samples": read[1]},
        against=trials[1] if len(trials) > 1 else None,
        fired=fired,
        labels=marks,
        changes=changes.between(span.from_ms, span.to_ms),
        declared={rule.name: rule for side in sides if side.name == CURRENT for rule in side.config.rules},
        warnings=[
            *_warnings(trials[0].rules, detected[0], span, had, warm_from, asked),
            *_gaps(sides, warm_from, asked),
            *_unmet(trials[0].rules, detected[0].targets, asked),
        ],
    )


def _part(log: Log, asked: Asked, sides: Sequence[Side]) -> tuple[Span, Span, float, list[Part]]:
    """What was asked for, what the log has, where reading begins, and what is to be read."""
    whole = log.all()
    firsts = [p.first_ms for p in whole if p.first_ms is not None]
    lasts = [p.last_ms for p in whole if p.last_ms is not None]
    if not firsts or not lasts:
        raise EmptyError("the log of samples is empty: nothing was recorded, or all of it is past its retention")
    had = Span(min(firsts), max(lasts))
    to_ms = moment(asked.to, had.to_ms) if asked.to else had.to_ms
    span = Span(moment(asked.from_, to_ms), to_ms)
    if span.ms <= 0:
        raise ValueError(f"it ends, {iso(span.to_ms)}, before it begins, {iso(span.from_ms)}")
    if span.to_ms < had.from_ms or span.from_ms > had.to_ms:
        raise EmptyError(
            f"no samples from {iso(span.from_ms)} to {iso(span.to_ms)}: the log has those from {iso(had.from_ms)} to "
            f"{iso(had.to_ms)}; how long they are kept is the topic's retention.ms"
        )
    warm_up = asked.warm_up_s if asked.warm_up_s is not None else warm_up_s(sides, had.from_ms, span.to_ms)
    warm_from = max(span.from_ms - warm_up * 1000.0, had.from_ms)
    parts = log.between(warm_from, span.to_ms)
    if not any(p.end > p.first for p in parts):
        raise EmptyError(f"no samples from {iso(span.from_ms)} to {iso(span.to_ms)}, though there are before and after")
    return span, had, warm_from, parts


def _trial(side: Side, found: Detected, asked: Asked, said: Iterable[Answer], span: Span, start_ms: float) -> Trial:
    config = side.config
    alerting = Alerting(
        config.rules,
        config.targets,
        defaults=config.alert,
        suppressions=suppressions_of(config),
        tick_ms=config.alert.tick * 1000.0,
        start_ms=start_ms,
    )
    alerting.find(found.found)
    for at, control in side.controls(start_ms, span.to_ms):
        alerting.ask(at, control)
    for answer in said:
        if start_ms <= answer.at <= span.to_ms:
            alerting.answer(answer)
    alerting.advance(span.to_ms)
    return Trial(
        side.name,
        side.every_rule(start_ms, span.to_ms),
        found,
        chosen(episodes(alerting.transitions), span, asked.wanted),
    )


def _gaps(sides: Sequence[Side], from_ms: float, asked: Asked) -> Iterator[tuple[str, str]]:
    """What is not known of what stood in the time that is replayed."""
    if asked.controls is None:
        if any(side.name == CURRENT for side in sides):
            yield "no-history", "the current rules are those of the configuration: an export has no changes of them"
        return
    counted = {kind for side in sides for kind in side.kinds}
    gaps = [gap for gap in sides[0].changes.gaps if gap.kind in counted and gap.at > from_ms]
    for gap in gaps[:_MOST_GAPS]:
        yield "unknown-before", f"{gap.kind} {gap.id} is as of {iso(gap.at)}: {gap.why}"
    if len(gaps) > _MOST_GAPS:
        yield "unknown-before", f"and {len(gaps) - _MOST_GAPS} more, the last as of {iso(gaps[-1].at)}"


def _warnings(
    rules: Sequence[Rule], found: Detected, span: Span, had: Span, warm_from: float, asked: Asked
) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    if had.from_ms > span.from_ms + _SAME_MS:
        late = _days(had.from_ms - span.from_ms)
        kept = "how long samples are kept is the topic's retention.ms"
        told.append(("shorter-log", f"the log begins at {iso(had.from_ms)}, {late} after the time asked for: {kept}"))
    if had.to_ms < span.to_ms - _SAME_MS:
        told.append(("shorter-log", f"the log ends at {iso(had.to_ms)}, {_days(span.to_ms - had.to_ms)} earlier"))
    if asked.warm_up_s is None and warm_from > span.from_ms - LEAST_WARM_UP_S * 1000.0:
        told.append(("cold-start", "there is no hour of samples before it: windows and baselines begin empty"))
    conditions = compile_rules(tuple(rules))
    for rule in rules:
        wanted = _metrics_of(rule.name, conditions.names, conditions)
        for metric in sorted(wanted - found.metrics):
            close = difflib.get_close_matches(metric, sorted(found.metrics - {""}), n=1)
            meant = f"; there is {close[0]}" if close else ""
            told.append(("unknown-metric", f"rule {rule.name}: no sample has a metric {metric}{meant}"))
        if rule.alerts is None and not found.rules.get(rule.name):
            told.append(("no-target", f"rule {rule.name}: none of the targets with samples passes its matchers"))
    for reason, refusals in sorted(found.refused.items()):
        told.append(("refused", f"{refusals.count:,} not taken in, {reason}: {refusals.first}"))
    return told


def _unmet(rules: Sequence[Rule], seen: set[str], asked: Asked) -> Iterator[tuple[str, str]]:
    """What was asked to be told of and cannot be there: of a name mistyped, an empty report would be a lie."""
    known = {target.name: target.all_labels for target in asked.config.targets}
    known |= {alert.target: dict(alert.labels) for _, alert in asked.alerts or () if alert.target not in known}
    known |= {name: {"kind": "push", "target": name} for name in seen - known.keys()}
    for target in asked.only:
        if target not in known and not target.startswith("group:"):
            yield "unknown-target", f"no target is named {target}{meant(target, known)}"
    if found := unpassed(asked.match, [*known.values(), *(alert_labels(rule, {}) for rule in rules)]):
        yield "no-match", f"no alert can match {found}"


def _metrics_of(rule: str, names: Sequence[str], conditions: Any) -> set[str]:
    place = list(names).index(rule)
    tokens = conditions.tokens[conditions.start[place] : conditions.start[place + 1]].tolist()
    return {conditions.metrics[int(conditions.metric[t])] for t in tokens if t >= 0} - {""}


def _days(ms: float) -> str:
    return f"{ms / 86_400_000:.1f} days" if ms >= 86_400_000 else human(round(ms / 60_000) * 60.0)
