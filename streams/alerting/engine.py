"""What the alert role decides: findings, what people ask, where other alerts stand, and the clock change lives.

No input or output here, and no clock but the one that is given: the same inputs at the same times give the same lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams import groups
from streams import life as lifecycle
from streams.alerting.composites import Composites
from streams.alerting.hands import KINDS, Hands
from streams.alerting.lives import Lives
from streams.alerting.terms import KINDS as CONFIGURATION
from streams.alerting.terms import Terms
from streams.composites import judged_from_alerts
from streams.life import FIRED, Life, LifeDefaults
from streams.suppression import AlertView, Suppressed, Suppressions
from streams.topics import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from schemas import Control, Finding
    from streams.alerting.terms import Watched
    from streams.composites import Standing
    from streams.rules import Rule

KEPT_MS = ((SAMPLES.days or 7) + 1) * 86_400_000.0
"""How long a life is kept after its last change: a finding can come again as long as its sample is on the log."""
ASK_AGAIN_MS = 1000.0
PRUNE_EVERY_MS = 60_000.0
_LEAST_MS = 250.0


class Engine:
    """The lives of some partitions. Who stores and tells them overrides `is_behind`, `touched` and `withdraw`."""

    def __init__(
        self,
        partitions: int,
        targets: Iterable[Watched],
        rules: Iterable[Rule],
        defaults: LifeDefaults | None = None,
        suppressions: Suppressions | None = None,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.suppressions = suppressions or Suppressions()
        self.lives, self.hands, self.composites = Lives(partitions), Hands(), Composites()
        self.terms = Terms(targets, rules, defaults or LifeDefaults())
        self.clock = clock
        self.ask_again_ms, self.prune_every_ms = ASK_AGAIN_MS, PRUNE_EVERY_MS
        self._noted: dict[str, int] = {}
        self._ask_at = self._prune_at = 0.0
        self._changed = False
        self.in_force()

    # What whoever runs it may say

    def is_behind(self, partition: int) -> bool:  # noqa: ARG002 - see the class
        """Whether findings of a partition wait to be read, so that its clock must stand still."""
        return False

    def touched(self) -> None:
        """Called after a life has changed."""

    def withdraw(self, keys: Iterable[str]) -> None:
        """Called with the keys of control records that nobody needs any more."""

    # Configuration

    def configure(self, targets: Iterable[Watched], rules: Iterable[Rule]) -> None:
        """Go on with these targets and rules of the file: alerts of what is no more resolve, and say why."""
        self.terms.replace(targets, rules)
        self.refresh()

    def refresh(self) -> None:
        """Bring changes of rules, thresholds and targets into force."""
        if self.terms.refresh():
            self.in_force()
            now = self.clock()
            for life in self.lives:  # at once: by the next look at the clock, what is gone now may be back
                if not self.is_behind(self.lives.partition(life.key)):
                    self._end_gone(life, now)

    def in_force(self) -> None:
        """Take note that rules or targets have changed."""
        self.composites.configure(self.terms.rules.values())
        self._changed = True

    # What comes in

    def take_finding(self, finding: Finding, offset: int, at: float) -> None:
        """Take in a finding that the broker took at `at`; a life knows by `offset` which it has taken in."""
        rule = self.terms.judged.get(finding.rule)
        if rule is None:
            if not finding.holds:
                self._ceased(finding, at)
            return
        labels = self.terms.labels_of(finding.target)
        key = groups.finding_key(rule, finding.target, labels)
        life = self.lives.get(key) or Life(key.rsplit("/", 1)[0], finding.rule)
        if offset <= life.offset:
            return
        life.offset = offset
        if groups.is_grouped(rule):
            about = groups.take_member(life, finding, rule, self.terms.members.get(key, ()), at)
            self._on_finding(life, about, rule, groups.labels_of(rule, labels), at)
        else:
            self._on_finding(life, finding, rule, labels, at)

    def _ceased(self, finding: Finding, at: float) -> None:
        """A rule that looks at samples no more has ceased for a target: detect says so of what it no longer judges."""
        own = self.lives.get(f"{finding.target}/{finding.rule}")
        groups_of_it = [life for life in self.lives.groups_of(finding.rule) if finding.target in life.members]
        if own is not None and judged_from_alerts(own.finding):
            own = None  # of another rule with this name, which does not look at samples
        for life in groups_of_it if own is None else [own, *groups_of_it]:
            if life.holds or life.active:
                lifecycle.on_removed(life, "rule_removed", at)
                self._touch(life)

    def _on_finding(
        self, life: Life, finding: Finding | None, rule: Rule, labels: Mapping[str, str], now: float
    ) -> None:
        before = (life.id, list(life.taken))
        if finding is not None:
            lifecycle.on_finding(life, finding, self.terms.policies[rule.name], labels, now, self._verdict, self._below)
        if life.id != before[0]:
            self._over(*before)
        if life.id or life.members:
            self.hands.apply(life, now)
            self._touch(life)

    def take_control(self, control: Control) -> None:
        """Take in a change made at run time."""
        if control.kind in KINDS:
            self.hands.take(control)
            life = self.lives.by_id.get(control.id)
            if life is not None and self.hands.apply(life, self.clock()):
                self._touch(life)
            return
        if control.kind in CONFIGURATION:
            self.terms.take(control)
        self.suppressions.take(control)
        self._ask_at = 0.0

    def take_other(self, standing: Standing) -> None:
        """Take in where an alert of any partition stands."""
        self._note(standing)
        if standing.state not in lifecycle.ACTIVE:
            self._noted.pop(standing.id, None)
        for where in self.composites.take(standing):
            self._compose(where)

    # The clock

    def tick(self, now: float) -> None:
        """Let time pass for the partitions that are not behind: an unread finding may have ended an episode."""
        if self._changed:
            self._reconsider(now)
        for life in self.lives.awake(now):
            self._pass(life, now)
        if now >= self._ask_at:
            self._ask_at = now + self.ask_again_ms
            self._ask(now)
        self._changed = False
        if now >= self._prune_at:
            self._prune_at = now + self.prune_every_ms
            self._prune(now)

    def next_tick(self) -> float:
        """The time from which on `tick` has something to do, if nothing comes before."""
        if self._changed:
            return self.clock()
        return min(self._ask_at, self.lives.next_alarm())

    def _pass(self, life: Life, now: float) -> None:
        policy = self.terms.policies.get(life.rule)
        if policy is None:
            return
        if self.is_behind(self.lives.partition(life.key)):
            self.lives.wake_at(life.key, now + _LEAST_MS)
            return
        before = (life.number, life.quiet, life.counted, life.unwritten)
        lifecycle.on_tick(life, policy, now, self._verdict, self._below)
        news = self.hands.apply(life, now)
        if news or before != (life.number, life.quiet, life.counted, life.unwritten):
            self._touch(life)
        else:
            self.lives.wake_at(life.key, max(lifecycle.due(life, policy), now + _LEAST_MS))

    def _ask(self, now: float) -> None:
        """Ask of every alert that fires whether it is still to be told, or still not."""
        for life in list(self.lives.by_id.values()):
            if life.state in FIRED:
                quiet, before = self._verdict(life, now), life.quiet or {}
                is_now = (quiet.reason, quiet.by) if quiet is not None else (None, None)
                if is_now != (before.get("reason"), before.get("by")):
                    self._pass(life, now)

    def _reconsider(self, now: float) -> None:
        """End what the configuration has no longer; judge groups and composites again."""
        for life in self.lives:
            rule = self.terms.rules.get(life.rule)
            if self.is_behind(self.lives.partition(life.key)):
                continue
            if self._end_gone(life, now) or rule is None:
                continue
            labels = self._labels_of(life, rule)
            if life.active:
                self._edit(life, labels, now)
            if life.members:
                about = groups.reconfigure(life, rule, self.terms.members.get(life.key, ()), now)
                self._on_finding(life, about, rule, labels, now)
            elif life.active:
                self.lives.wake_at(life.key, lifecycle.due(life, self.terms.policies[rule.name]))
        meant = dict.fromkeys(self.composites.everywhere(self.terms.labels))
        held = [life for life in self.lives if life.holds and life.rule in self.composites.rules]
        for where in {**{(life.rule, life.target): None for life in held}, **meant}:
            self._compose(where, is_meant=where in meant)

    def _end_gone(self, life: Life, now: float) -> bool:
        """End an alert that the configuration has no longer; whether it is so."""
        reason = self.terms.gone(life) if life.active else None
        if reason is not None:
            lifecycle.on_removed(life, reason, now)
            self._touch(life)
        return reason is not None

    def _labels_of(self, life: Life, rule: Rule) -> Mapping[str, str]:
        """The labels, now, of the target or group that a life is about."""
        return groups.labels_of(rule, life.own or life.labels) if rule.grouped else self.terms.labels_of(life.target)

    def _edit(self, life: Life, labels: Mapping[str, str], now: float) -> None:
        """Show an active alert as its rule and its target's labels are now."""
        actor, version = self.terms.edited_by(life)
        policy = self.terms.policies[life.rule]
        if lifecycle.on_edited(
            life, policy, labels, now, verdict=self._verdict, below=self._below, actor=actor, version=version
        ):
            self._touch(life)

    def _compose(self, where: tuple[str, str], *, is_meant: bool = True) -> None:
        """Judge a composite of ours again; where it is not meant any more, it does not hold, whatever it says."""
        rule, key = self.composites.rules[where[0]], f"{where[1]}/{where[0]}"
        if not self.lives.is_ours(key) or self.is_behind(self.lives.partition(key)):
            return
        finding = self.composites.judge(where, self.clock, is_meant=is_meant)
        life = self.lives.get(key) or Life(where[1], where[0])
        if finding.holds != life.holds:
            labels = self.composites.labels.get(where) or self.terms.labels_of(where[1])
            self._on_finding(life, finding, rule, labels, self.clock())

    def _prune(self, now: float) -> None:
        """Let go of what ended long ago; with it goes what people asked of it."""
        self.hands.prune(now)
        for life in self.lives:
            groups.forget_members(life, now - KEPT_MS)
            last = max(life.changed, life.resolved or 0.0, *(m["at"] for m in life.members.values()), 0.0)
            if not life.active and not life.holds and not life.outbox and last < now - KEPT_MS:
                self._over(life.id, life.taken)
                self.lives.drop(life)
                self.touched()

    # Shared

    def _touch(self, life: Life) -> None:
        """The life has changed: store it, tell what it has to tell, and look at it again when it is time."""
        policy = self.terms.policies.get(life.rule)
        due = lifecycle.due(life, policy) if policy is not None else float("inf")
        self.lives.keep(life, due)
        self._note(life)
        self.touched()

    def _over(self, alert: str, taken: Iterable[str]) -> None:
        """An alert has ended for good: what people asked of it need not be kept."""
        kinds = {*self.hands.forget(alert), *taken}
        self.withdraw(f"{kind}/{alert}" for kind in sorted(kinds))

    def _note(self, alert: Life | Standing) -> None:
        """Tell the suppressions where an alert stands, unless they know something later of it."""
        if not alert.id or self._noted.get(alert.id, 0) >= alert.number:
            return
        self._noted[alert.id] = alert.number
        self.suppressions.note(view_of(alert))
        self._ask_at = min(self._ask_at, self.clock())

    def _verdict(self, life: Life, now: float) -> Suppressed | None:
        return self.suppressions.decide(view_of(life), now)

    def _below(self, life: Life) -> list[str]:
        return self.suppressions.takes_down(view_of(life))


def view_of(alert: Life | Standing) -> AlertView:
    """What suppressions need to know of an alert."""
    at = alert.listed_at if isinstance(alert, Life) else alert.at
    return AlertView(alert.id, alert.rule, alert.target, alert.labels, alert.severity, alert.state, alert.began, at)
