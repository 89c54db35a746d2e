"""What rules did lately: alerts that came and went too often to be worth waking anybody, and rules that never fired."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.rules.lint.watch import Episode, Remark, Span, Watch, remark
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
    """What alerts tell of the last `span_s` seconds up to `now` (ms); see `History`.

    `since` has from when on (ms) a rule is as it is, where it was another before: what that one did does not count.
    `replayed` has, of some of those, the alerts that it would have had in the `replayed_s` seconds that have samples.
    """

    span_s: float
    now: float = 0.0
    since: Mapping[str, float] = field(default_factory=dict)
    replayed: Mapping[str, Mapping[str, Sequence[Episode]]] = field(default_factory=dict)
    replayed_s: float = 0.0
    _seen: dict[str, Episode] = field(default_factory=dict)

    def take(self, alert: Alert) -> None:
        """Take in a transition; of each alert they come in their order."""
        if alert.fired is None or alert.fired < self.since.get(alert.rule, -math.inf):
            return
        before = self._seen.get(alert.id)
        flapped = alert.state == "flapping" or (before is not None and before.flapped)
        self._seen[alert.id] = Episode(alert.rule, alert.target, alert.fired, alert.resolved, flapped)

    def is_changed(self, rule: str) -> bool:
        """Whether a rule was another within the time."""
        return self.since.get(rule, -math.inf) > self.now - self.span_s * 1000.0

    def of(self, rule: str) -> Span:
        """How far it goes back for a rule, and where it is from."""
        if rule in self.replayed:
            return Span(self.replayed_s, replayed=True)
        if not self.is_changed(rule):
            return Span(self.span_s)
        return Span(max(self.now - self.since[rule], 0.0) / 1000.0, changed=True)

    def episodes(self, rule: str) -> Mapping[str, Sequence[Episode]]:
        """The alerts of a rule that fired, by target."""
        if rule in self.replayed:
            return self.replayed[rule]
        found: dict[str, list[Episode]] = defaultdict(list)
        for episode in self._seen.values():
            if episode.rule == rule:
                found[episode.target].append(episode)
        return found


def flapped(watch: Watch) -> Iterator[Remark]:
    """Rules whose alerts came and went many times in the past, or would have, where they are new."""
    if watch.history is None:
        return
    for rule in watch.rules:
        often = {t: n for t, e in watch.history.episodes(rule.name).items() if (n := _short(e)) >= MANY or _told(e)}
        if not often:
            continue
        span = watch.history.of(rule.name)
        worst = max(often, key=lambda t: (often[t], t))
        others = f", and on {len(often) - 1} other target{'s' * (len(often) > 2)}" if len(often) > 1 else ""
        would = "as it is now, it would have had " if span.replayed else ""
        what = f"{would}{often[worst]} episodes of less than {human(SHORT_S)} on {worst}{others}"
        if often[worst] < MANY:
            would = "as it is now, it would have been" if span.replayed else "was"
            what = f"{would} told as flapping on {worst}{others}"
        yield remark("warning", "flapped", rule, "for", f"{what}, in {_in_words(span)}: {_cure(rule)}")


def silent(watch: Watch) -> Iterator[Remark]:
    """Rules that did not fire once in the past, or would not have."""
    if watch.history is None:
        return
    for rule in watch.rules:
        span = watch.history.of(rule.name)
        if watch.history.episodes(rule.name):
            continue
        did = "as it is now, it would not have fired" if span.replayed else "has not fired"
        if span.changed and not span.seconds:
            text = (
                "is not in force as it is here, and there are no samples to try it on: `probestream test` can show it"
            )
        else:
            text = f"{did} in {_in_words(span)}: is it known to? `probestream test` can show it"
        yield remark("note", "never-fired", rule, "name", text)


def _in_words(span: Span) -> str:
    if span.replayed:
        return f"{human(span.seconds)} of samples"
    return f"{human(span.seconds)} since it was changed" if span.changed else human(span.seconds)


def _short(episodes: Sequence[Episode]) -> int:
    return sum(e.ended is not None and e.ended - e.fired < SHORT_S * 1000.0 for e in episodes)


def _told(episodes: Sequence[Episode]) -> bool:
    return any(e.flapped for e in episodes)


def _cure(rule: Rule) -> str:
    """What would make it quieter, of what it does not have yet."""
    missing = [f"for: {human(max(60.0, 2 * rule.for_))}"]
    leaf = bool(rule.metric) and not rule.parts
    missing += ["a recover threshold"] if leaf and rule.recover is None else []
    missing += [] if rule.keep_firing_for or rule.good_samples > 1 else ["keep_firing_for: 5m"]
    return f"write {', or '.join(missing)}"
