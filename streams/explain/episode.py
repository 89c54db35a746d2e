"""One alert's transitions, with its rule's terms and all that is known around it; questions that a story asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.explain import deliveries, words
from streams.explain.words import clock, span
from streams.life import ACTIVE
from streams.life.explain import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas import Alert, Notification
    from streams.explain.model import Condition
    from streams.explain.quiet import Who
    from streams.life import Policy

_KEPT_BY = frozenset(
    {"silenced", "maintenance", "cause_down", "waiting_for_cause", "waiting_after_cause", "inhibited", "snoozed",
     "acknowledged"}
)  # fmt: skip
_AGAIN = ("reminder", "not_acknowledged_in_time")


@dataclass(slots=True)
class Episode:
    """`transitions` in order, at least one; `policies` are the rule's terms, each from its time (ms) on, None: no rule.

    `steps` are the ledger's, of telling it; `told_before` is when an earlier episode was told.
    """

    transitions: Sequence[Alert]
    policies: Sequence[tuple[float, Policy | None]]
    who: Who
    steps: Sequence[Notification] = ()
    told_before: float | None = None
    conditions: list[Condition] = field(init=False)

    def __post_init__(self) -> None:
        rule = self.policy.rule if self.policy is not None else None
        self.conditions = words.seen_by_alert(self.first.conditions, rule.min_samples if rule is not None else 0.0)

    @property
    def policy(self) -> Policy | None:
        """The rule's terms when it began."""
        return self.policies[0][1] if self.policies else None

    def policy_at(self, at: float) -> Policy | None:
        """The rule's terms at a time; where the rule was no more, those that it had last."""
        found = self.policy
        for since, policy in self.policies:
            if since <= at and policy is not None:
                found = policy
        return found

    @property
    def first(self) -> Alert:
        """The transition with which it began."""
        return self.transitions[0]

    @property
    def last(self) -> Alert:
        """The transition after which it is what it is."""
        return self.transitions[-1]

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self.last.state in ACTIVE

    @property
    def because(self) -> str:
        """What held, in one line: the conditions, of a group how many, of a rule on alerts which."""
        first = self.first
        if first.members or first.member_total:
            held = f"{first.member_count} of {first.member_total} targets ({words.listed(first.members)})"
            return f"it held for {held}"
        if first.metric == "alerts":
            return f"alerts fired: {first.message}"
        if self.conditions:
            return words.because(self.conditions)
        return first.message or first.annotations.get("summary", "it held")

    @property
    def asked_to_tell(self) -> float | None:
        """When people were first to be told that it fires; None where they never were."""
        return next((a.at for a in self.transitions if a.notify and a.state != "resolved"), None)

    def outcome(self, reason: str, detail: str, alert: Alert, *, made: bool) -> str:
        """A decision in words; `made` is whether it made the transition `alert`."""
        if made and reason in _KEPT_BY:
            return self.who.quiet(alert)
        policy = self.policy_at(alert.at)
        if policy is not None and (known := self._by_terms(reason, policy, alert.at, detail)):
            return known
        text = in_words(reason).rstrip(".")
        return text[0].lower() + text[1:] + (f" ({detail})" if detail else "")

    def _by_terms(self, reason: str, policy: Policy, at: float, detail: str) -> str:
        """A decision that a duration of the rule explains; empty where none does."""
        until = clock(self.first.at + policy.for_ms, at)
        return {
            "waiting_for_duration": f"it must hold for {span(policy.for_ms)}, until {until}, before anybody is told",
            "waiting_for_cooldown": self._cooldown(policy, at),
            "duration_elapsed": f"it held for its whole {span(policy.for_ms)}",
            "cooldown_elapsed": f"it still held when its cooldown of {span(policy.cooldown_ms)} was over",
            "ceased_before_firing": self._ceased(policy),
            "recovery_verified": f"it did not hold again {_verified(policy, detail)}",
            "verifying_recovery": f"it ceased; that it stays so is verified {_verified(policy, detail)}",
        }.get(reason, "")

    def _ceased(self, policy: Policy) -> str:
        lasted = span(self.last.at - self.first.at)
        if self.first.reason == "waiting_for_cooldown":
            return f"it ceased after {lasted}, before its cooldown was over"
        return f"it ceased after {lasted}; it has to hold for {span(policy.for_ms)}"

    def _cooldown(self, policy: Policy, near: float) -> str:
        if self.told_before is None:
            return f"the same alert was told so lately that its cooldown of {span(policy.cooldown_ms)} is not over"
        until = clock(self.told_before + policy.cooldown_ms, near)
        told = clock(self.told_before, near)
        return f"the same alert was told at {told}, and its cooldown of {span(policy.cooldown_ms)} lasts until {until}"

    def standing(self, at: float) -> str:
        """How far it had got at `at`: told to whom, or why nobody had been."""
        last, policy = self.last, self.policy_at(at)
        waits = next((a for a in reversed(self.transitions) if a.reason != "rule_edited"), last)
        if last.state == "pending" and waits.reason == "waiting_for_duration" and policy is not None:
            return f"pending: it had held for {span(at - self.first.at)} of the {span(policy.for_ms)} it has to"
        if last.state == "pending":
            return f"pending in cooldown: {self.outcome(waits.reason, waits.comment, waits, made=True)}"
        if last.state in ("suppressed", "snoozed", "acknowledged"):
            # Other things may have happened since, which did not change that: an edit, a good sample.
            said = (a for a in reversed(self.transitions) if a.state == last.state and a.reason in _KEPT_BY)
            return self.who.quiet(next(said, last))
        text = self.outcome(last.reason, last.comment, last, made=True)
        if not self.active:
            return f"{last.state} at {clock(last.at, at)}: {text}"
        told = deliveries.told(self.steps)
        if told.at is not None:
            whom = f"told to {deliveries.in_short(told, at)}"
            return f"{last.state} since {clock(last.fired or last.at, at)}, {whom}{self._not_over(at)}"
        return f"{last.state} since {clock(last.fired or last.at, at)}: {text}"

    def _not_over(self, at: float) -> str:
        """Why it goes on though its rule has ceased to hold; empty where it has not."""
        last = self.last
        if last.reason not in ("verifying_recovery", "good_sample"):
            return ""
        return f"; {self.outcome(last.reason, last.comment, last, made=True)} at {clock(last.at, at)}"

    def answer(self, target: str, at: float) -> tuple[bool, str]:
        """Whether anybody was told, and the whole answer in one sentence."""
        rule, told = self.first.rule, deliveries.told(self.steps)
        why = f"because {rule}: {self.because}"
        if told.at is not None:
            others = f"; {'; '.join(told.failed)}" if told.failed else ""
            over = self._not_over(at) if self.active else f"; {self.last.state} at {clock(self.last.at, at)}"
            return True, f"{target} was paged to {deliveries.in_short(told, at)} {why}{others}{over}"
        asked = self.asked_to_tell
        if asked is None:
            return False, f"Nobody was told about {target} ({rule}): {self.standing(at)}; {self.because}"
        when = clock(asked, at)
        if told.failed:
            failed = "; ".join(told.failed)
            return False, f"Nobody was told about {target}, though it was to be at {when} {why}: {failed}"
        missing = (
            "an attempt is under way"
            if self.steps
            else "no attempt at it is on record: its receivers have no channel, or notify does not run"
        )
        return False, f"{target} was to be told at {when} {why}; {missing}"


def _verified(policy: Policy, so_far: str) -> str:
    """How the end of an alert is verified: for how long, and how many samples there were; `so_far` has those."""
    for_so_long = f"for {span(policy.keep_ms)}" if policy.keep_ms or not so_far else ""
    return " and ".join(part for part in (for_so_long, f"by {so_far}" if so_far else "") if part)


def told_before(earlier: Iterable[Alert], alert: Alert) -> float | None:
    """When an earlier alert of the same rule and target was last told anew: from there a cooldown counts."""
    same = (a for a in earlier if (a.rule, a.target) == (alert.rule, alert.target) and a.id != alert.id)
    times = [a.at for a in same if a.notify and a.at <= alert.at and a.state != "resolved" and a.reason not in _AGAIN]
    return max(times, default=None)
