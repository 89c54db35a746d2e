"""Two sets of alerts over the same time: which are the same, and which only the one or the other has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probestream.backtest.episodes import Episode
    from probestream.backtest.span import Span


@dataclass(slots=True)
class Difference:
    """Pairs (new, old) of one alert; those that only one side has, with an alert of another rule that covers each."""

    same: list[tuple[Episode, Episode]] = field(default_factory=list)
    only_new: list[Episode] = field(default_factory=list)
    only_old: list[Episode] = field(default_factory=list)
    covered: dict[str, str] = field(default_factory=dict)


def compare(new: Sequence[Episode], old: Sequence[Episode], span: Span) -> Difference:
    """The alerts that fired within the span, side by side: by id, then by rule, target and time that overlaps.

    An alert that is split in two on one side is the same as the first of the two; the rest is on that side only.
    """
    ours, theirs = _fired(new, span), _fired(old, span)
    result, taken = Difference(), set[str]()
    by_id = {e.id: e for e in theirs}
    by_name: dict[tuple[str, str], list[Episode]] = {}
    by_target: dict[str, list[Episode]] = {}
    for episode in theirs:
        by_name.setdefault((episode.rule, episode.target), []).append(episode)
        by_target.setdefault(episode.target, []).append(episode)
    mine = {e.id for e in ours}
    for episode in ours:
        there = by_id.get(episode.id)
        if there is None:
            near = by_name.get((episode.rule, episode.target), ())
            there = next((e for e in near if e.id not in taken | mine and _overlap(episode, e, span)), None)
        if there is not None and there.id not in taken:
            taken.add(there.id)
            result.same.append((episode, there))
        else:
            result.only_new.append(episode)
    result.only_old = [e for e in theirs if e.id not in taken]
    for side, others in ((result.only_old, _by_target(ours)), (result.only_new, by_target)):
        for episode in side:
            over = next((e for e in others.get(episode.target, ()) if _overlap(episode, e, span)), None)
            if over is not None:
                result.covered[episode.id] = over.id
    return result


def _by_target(episodes: Sequence[Episode]) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = {}
    for episode in episodes:
        found.setdefault(episode.target, []).append(episode)
    return found


def _fired(episodes: Sequence[Episode], span: Span) -> list[Episode]:
    return [e for e in episodes if e.firing(span) is not None]


def _overlap(one: Episode, other: Episode, span: Span) -> bool:
    a, b = one.firing(span), other.firing(span)
    return a is not None and b is not None and a[0] <= b[1] and b[0] <= a[1]
