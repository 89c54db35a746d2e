"""The past of the rules of a file: since when each has been in force as it is, and what it would have done before."""

from __future__ import annotations

import itertools
import math
import os
from typing import TYPE_CHECKING

from probestream.backtest.log import KafkaLog
from probestream.backtest.picture import drawn, ms
from probestream.backtest.run import Asked, EmptyError, backtest
from streams.in_force import InForce
from streams.rules.lint import Episode
from streams.topics import TopicError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from probestream.backtest.run import Told
    from probestream.config import Config
    from schemas import Control
    from streams.changes import Changes
    from streams.kafka import KafkaSettings
    from streams.rules import Rule

_KINDS = ("rule", "threshold")


def in_force_since(rules: Sequence[Rule], changes: Changes) -> dict[str, float]:
    """From when on (ms) each rule of a file has been in force as it is there; infinite where another is in force now.

    Rules that were never changed at run time are left out. Where history does not go back far enough, from there on.
    """
    since = dict.fromkeys((r.name for r in rules), -math.inf)
    for at, now in _stood(rules, changes):
        for rule in rules:
            if now.get(rule.name) != rule:
                since[rule.name] = math.inf
            elif since[rule.name] == math.inf:
                since[rule.name] = at
    for gap, rule in itertools.product(changes.gaps, rules):
        if gap.kind in _KINDS and gap.id in (rule.name, rule.pair):
            since[rule.name] = max(since[rule.name], gap.at)
    for rule, name in ((r, n) for r in rules for n in (r.name, r.pair) if n):
        # The file may say now what was set then, and have said something else before.
        if (own := changes.history("rule", name)) and changes.at("rule", name, -math.inf) is None:
            since[rule.name] = max(since[rule.name], own[0][0])
    return {name: at for name, at in since.items() if at > -math.inf}


def _stood(rules: Sequence[Rule], changes: Changes) -> Iterator[tuple[float, Mapping[str, Rule]]]:
    """The rules in force by name, from the beginning on, and after each change."""
    there = InForce(rules, {}, {})
    for at, some in itertools.groupby(changes.records(-math.inf, math.inf, _KINDS), key=lambda c: c[0]):
        for _, record in some:
            there.take(record)
        there.refresh()
        yield at, {rule.name: rule for rule in there.rules}


def would_have_fired(
    kafka: KafkaSettings,
    config: Config,
    names: Collection[str],
    span_s: float,
    controls: Sequence[tuple[float, Control]],
    told: Told,
) -> tuple[Mapping[str, Mapping[str, Sequence[Episode]]], float]:
    """The alerts, by rule and target, of these rules of the file over the samples of the last `span_s` seconds.

    And of how many seconds there were samples; 0, and nothing, where there were none.
    """
    asked = Asked(
        config=config, name="lint", from_=f"{span_s:g}s", controls=controls, jobs=os.cpu_count() or 1,
        wanted=lambda episode: episode.rule in names,
    )  # fmt: skip
    try:
        report = backtest(KafkaLog(kafka), asked, told)
    except (EmptyError, TopicError):
        return {}, 0.0
    found: dict[str, dict[str, list[Episode]]] = {name: {} for name in names}
    for alert in report["alerts"]:
        if alert["fired"] is not None:
            ended = None if alert["ended"] is None else ms(alert["ended"])
            flapped = any(state == "flapping" for state, _ in alert["states"])
            episode = Episode(alert["rule"], alert["target"], ms(alert["fired"]), ended, flapped)
            found[alert["rule"]].setdefault(alert["target"], []).append(episode)
    begin, end = drawn(report)
    return found, (end - begin) / 1000.0
