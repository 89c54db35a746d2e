"""What a backtest tells, as plain values: the same from the same log, to the last byte."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from probestream.backtest import labels as labelled
from probestream.backtest.difference import compare
from probestream.backtest.span import Nights, Span, median
from streams.changes import did
from streams.instants import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from probestream.backtest.episodes import Episode
    from probestream.backtest.labels import Label, Word
    from probestream.backtest.reading import Detected
    from streams.control import Change
    from streams.rules import Rule

VERSION = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of rules, and the alerts that it makes."""

    name: str
    rules: Sequence[Rule]
    detected: Detected
    alerts: list[Episode]


def report(
    trial: Trial,
    span: Span,
    *,
    nights: Nights,
    log: Mapping[str, Any],
    against: Trial | None = None,
    fired: list[Episode] | None = None,
    labels: Iterable[Label] = (),
    changes: Iterable[tuple[float, Change]] = (),
    declared: Mapping[str, Rule] | None = None,
    warnings: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """The whole report. Times are ISO 8601 in UTC, durations seconds. `declared` are the rules of the file."""
    # The log has not all of what was asked for, perhaps: nights and shares are of what it has.
    had = Span(max(span.from_ms, log["from"]), min(span.to_ms, log["to"]))
    words, left = labelled.words(trial.alerts, labels)
    by_rule: dict[str, list[Episode]] = {rule.name: [] for rule in trial.rules}
    by_rule |= _grouped(trial.alerts, lambda e: e.rule)
    severities = {rule.name: rule.severity for rule in trial.rules}
    return {
        "version": VERSION,
        "rules_from": trial.name,
        "asked": {"from": iso(span.from_ms), "to": iso(span.to_ms)},
        "log": {
            "from": iso(log["from"]),
            "to": iso(log["to"]),
            "read_from": iso(log["warm_up_from"]),
            "records": log["records"],
            "samples": log["samples"],
            "targets": len(trial.detected.targets),
            "findings": len(trial.detected.found),
        },
        "nights": {
            "zone": nights.zone,
            "from": f"{nights.begin // 60:02}:{nights.begin % 60:02}",
            "to": f"{nights.end // 60:02}:{nights.end % 60:02}",
            "count": round(nights.count(had), 3),
            "pages": [
                {"night": f"{day}", "pages": n} for day, n in sorted(_by_night(trial.alerts, nights, had).items())
            ],
        },
        "total": _figures(trial.alerts, span, had, nights, words),
        "rules": [
            {
                "rule": name,
                "severity": severities.get(name, ""),
                "targets": trial.detected.rules.get(name, 0),
                **_figures(alerts, span, had, nights, words),
            }
            for name, alerts in by_rule.items()
        ],
        "targets": [
            {"target": name, **_figures(alerts, span, had, nights, words)}
            for name, alerts in sorted(
                _grouped(trial.alerts, lambda e: e.target).items(), key=lambda i: (-_pages(i[1], span), i[0])
            )
        ],
        "alerts": [_alert(e, span, nights, words) for e in trial.alerts],
        "against": None
        if against is None
        else _difference(trial.alerts, against.alerts, against.name, span, had, nights),
        "fired": None if fired is None else _difference(trial.alerts, fired, "what did fire", span, had, nights),
        "missed": [_label(label) for label in left if label.word == "true_positive"],
        "silenced_noise": [_label(label) for label in left if label.word == "false_positive"],
        "changes": [_change(at, change, declared or {}) for at, change in changes],
        "warnings": [{"code": code, "message": message} for code, message in warnings],
    }


def as_bytes(told: Mapping[str, Any]) -> bytes:
    """The report as JSON, always the same bytes for the same report."""
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _grouped(alerts: Iterable[Episode], key: Any) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = {}
    for episode in alerts:
        found.setdefault(key(episode), []).append(episode)
    return found


def _within(times: Iterable[float], span: Span) -> list[float]:
    return [at for at in times if span.from_ms <= at <= span.to_ms]


def _pages(alerts: Iterable[Episode], span: Span) -> int:
    return sum(len(_within(e.pages, span)) for e in alerts)


def _by_night(alerts: Iterable[Episode], nights: Nights, had: Span) -> Counter[Any]:
    found = Counter({day: 0 for day, _, _ in nights.within(had)})
    for episode in alerts:
        for at in _within(episode.pages, had):
            if (night := nights.night_of(at)) is not None:
                found[night] += 1
    return found


def _figures(
    alerts: Sequence[Episode], span: Span, had: Span, nights: Nights, words: Mapping[str, Word]
) -> dict[str, Any]:
    """Counts of some alerts; `pages_a_night` is the mean over nights, `worst_night` the most in one."""
    fired = [(e, f) for e in alerts if (f := e.firing(span)) is not None]
    lengths = [(end - begin) / 1000.0 for _, (begin, end) in fired]
    by_night, count = _by_night(alerts, nights, had), nights.count(had)
    night_pages = sum(by_night.values())
    half = median(lengths)
    named = Counter(words.get(e.id, "") for e, _ in fired)
    return {
        "alerts": len(fired),
        "pending_only": sum(1 for e in alerts if e.fired is None),
        "never_told": sum(1 for e, _ in fired if not e.pages),
        "pages": _pages(alerts, span),
        "repeats": sum(len(_within(e.again, span)) for e in alerts),
        "night_pages": night_pages,
        "pages_a_night": round(night_pages / count, 3) if count else None,
        "worst_night": max(by_night.values(), default=0),
        "firing_s": round(sum(lengths), 3),
        "median_s": None if math.isnan(half) else round(half, 3),
        "longest_s": round(max(lengths), 3) if lengths else None,
        "false_positives": named["false_positive"],
        "true_positives": named["true_positive"],
    }


def _alert(episode: Episode, span: Span, nights: Nights, words: Mapping[str, Word]) -> dict[str, Any]:
    fired = episode.firing(span)
    return {
        "id": episode.id,
        "rule": episode.rule,
        "target": episode.target,
        "severity": episode.severity,
        "began": iso(episode.began),
        "fired": None if episode.fired is None else iso(episode.fired),
        "ended": None if episode.end is None else iso(episode.end),
        "seconds": None if fired is None else round((fired[1] - fired[0]) / 1000.0, 3),
        "why_ended": episode.reason,
        "pages": [iso(at) for at in episode.pages],
        "night_pages": sum(1 for at in _within(episode.pages, span) if nights.night_of(at) is not None),
        "repeats": len(episode.again),
        "kept_quiet_by": episode.quiet,
        "value": episode.value,
        "threshold": episode.threshold,
        "summary": episode.summary,
        "label": words.get(episode.id, ""),
        "states": [[state, iso(at)] for state, at in episode.states],
    }


def _difference(
    new: Sequence[Episode], old: Sequence[Episode], name: str, span: Span, had: Span, nights: Nights
) -> dict[str, Any]:
    differs = compare(new, old, span)
    totals = _figures(old, span, had, nights, {})
    return {
        "name": name,
        "total": {k: v for k, v in totals.items() if not k.endswith("_positives")},
        "same": len(differs.same),
        "sooner_s": _shift(differs.same),
        "only_new": [{"id": e.id, "covered_by": differs.covered.get(e.id, "")} for e in differs.only_new],
        "only_old": [
            {**_alert(e, span, nights, {}), "covered_by": differs.covered.get(e.id, "")} for e in differs.only_old
        ],
        "spans": [[e.rule, e.target, *map(iso, f)] for e in old if (f := e.firing(span)) is not None],
    }


def _shift(same: Sequence[tuple[Episode, Episode]]) -> float | None:
    """By how much the new ones fire sooner than the old, in the middle; negative: later."""
    half = median((old.fired - new.fired) / 1000.0 for new, old in same if old.fired and new.fired)
    return None if math.isnan(half) else round(half, 3)


def _change(at: float, change: Change, declared: Mapping[str, Rule]) -> dict[str, Any]:
    return {
        "at": iso(at),
        "kind": change.kind,
        "id": change.id,
        "version": change.version,
        "actor": change.actor,
        "did": did(change, declared),
        "note": change.note,
    }


def _label(label: Label) -> dict[str, Any]:
    times = {"from": label.from_ms, "to": label.to_ms}
    return {
        "alert": label.alert,
        "rule": label.rule,
        "target": label.target,
        **{name: iso(at) if math.isfinite(at) else None for name, at in times.items()},
    }
