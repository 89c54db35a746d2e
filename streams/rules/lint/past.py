"""What rules did lately: alerts that came and went too often to be worth waking anybody, and rules that never fired."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.rules.lint.watch import Episode, Remark, Watch, remark
from streams.units import human

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from schemas import Alert
    from streams.rules.model import Rule

SHORT_S = 300.0
MANY = 5
"""So many short episodes of one target, or one that was told as flapping, are a remark."""


@dataclass(slots=True)
class Past:
    """What the `alerts` topic tells of the last `span_s` seconds; see `History`."""

    span_s: float
    _seen: dict[str, Episode] = field(default_factory=dict)

    def take(self, alert: Alert) -> None:
        """Take in a transition; of each alert they come in their order."""
        if alert.fired is None:
            return
        before = self._seen.get(alert.id)
        flapped = alert.state == "flapping" or (before is not None and before.flapped)
        self._seen[alert.id] = Episode(alert.rule, alert.target, alert.fired, alert.resolved, flapped)

    def episodes(self, rule: str) -> Mapping[str, Sequence[Episode]]:
        """The alerts of a rule that fired, by target."""
        found: dict[str, list[Episode]] = defaultdict(list)
        for episode in self._seen.values():
            if episode.rule == rule:
                found[episode.target].append(episode)
        return found


def flapped(watch: Watch) -> Iterator[Remark]:
    """Rules whose alerts came and went many times in the past."""
    if watch.history is None:
        return
    for rule in watch.rules:
        often = {t: n for t, e in watch.history.episodes(rule.name).items() if (n := _short(e)) >= MANY or _told(e)}
        if not often:
            continue
        worst = max(often, key=lambda t: (often[t], t))
        others = f", and on {len(often) - 1} other target{'s' * (len(often) > 2)}" if len(often) > 1 else ""
        what = f"{often[worst]} episodes of less than {human(SHORT_S)} on {worst}{others}"
        if often[worst] < MANY:
            what = f"was told as flapping on {worst}{others}"
        yield remark("warning", "flapped", rule, "for", f"{what}, in {human(watch.history.span_s)}: {_cure(rule)}")


def silent(watch: Watch) -> Iterator[Remark]:
    """Rules that did not fire once in the past."""
    if watch.history is None:
        return
    for rule in watch.rules:
        if not watch.history.episodes(rule.name):
            text = f"has not fired in {human(watch.history.span_s)}: is it known to? `probestream test` can show it"
            yield remark("note", "never-fired", rule, "name", text)


def _short(episodes: Sequence[Episode]) -> int:
    return sum(e.ended is not None and e.ended - e.fired < SHORT_S * 1000.0 for e in episodes)


def _told(episodes: Sequence[Episode]) -> bool:
    return any(e.flapped for e in episodes)


def _cure(rule: Rule) -> str:
    """What would make it quieter, of what it does not have yet."""
    missing = [f"for: {human(max(60.0, 2 * rule.for_))}"]
    leaf = bool(rule.metric) and not rule.parts
    missing += ["a recover threshold"] if leaf and rule.recover is None else []
    missing += [] if rule.keep_firing_for else ["keep_firing_for: 5m"]
    return f"write {', or '.join(missing)}"
