"""What happens to an alert, as functions of (life, event, terms, now): they change the life and fill its outbox.

What a function decides it appends to `life.outbox` as an Alert record with a number that only grows and a named
reason; the shell writes the life, sends the outbox, and then calls `sent`. docs/alerts.md draws the states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from streams.life.edited import wear
from streams.life.known import decided_by, is_known
from streams.life.life import FIRED, KEPT_EPISODES, LOUD, alert_id, decided
from streams.life.quiet import Verdict, hush, keep_quiet, never, start_over
from streams.life.transitions import annotated, end, kept, settle, transition

if TYPE_CHECKING:
    from schemas import Finding
    from streams.life.life import Life
    from streams.life.policy import Policy


Below = Callable[["Life"], Sequence[str]]
"""What the target of an alert that fires takes down with it."""
RELIST_MS = 10_000.0
"""How soon after a transition a group's alert tells, in another, that its members have changed."""


def nothing(_life: Life) -> Sequence[str]:
    """Nothing depends on anything."""
    return ()


def on_finding(
    life: Life,
    finding: Finding,
    policy: Policy,
    labels: Mapping[str, str],
    now: float,
    verdict: Verdict = never,
    below: Below = nothing,
) -> None:
    """Take in that the rule began or ceased to hold; `now` is when the broker took the finding.

    Detect tells a finding again after it was killed. It is known by the record that led to it: what was decided by
    a record not later than the last one taken in, in the log and in event time, changes nothing.
    """
    if is_known(life.finding, finding):
        decided(life, "finding_known_already", now)
        return
    taken = decided_by(life.finding, finding)
    if finding.holds and life.holds:
        life.finding |= kept(finding)
        decided(life, "still_holds" if life.active else "resolved_by_hand_before", now)
    elif finding.holds and life.active:
        life.holds, life.changed, life.good, life.wanted = True, now, 0, 0
        life.finding |= kept(finding)
        settle(life, "held_again_while_flapping" if life.flapping else "held_again", now, record=True)
    elif finding.holds:
        _begin(life, finding, policy, labels, now)
        _ripen(life, policy, now, verdict, below)
    elif life.holds:
        _ceased(life, finding, policy, now)
    elif not finding.holds and life.active:
        _was_good(life, finding, policy, now)
    life.finding |= taken


def _begin(life: Life, finding: Finding, policy: Policy, labels: Mapping[str, str], now: float) -> None:
    rule = policy.rule
    began = finding.time
    while (
        began in life.begans
    ):  # samples of equal time, or of a clock that went back: each episode has an id of its own
        began += 1.0
    life.begans = [*life.begans, began][-KEPT_EPISODES:]
    life.id, life.number, life.taken = alert_id(life.rule, life.target, began), 0, {}
    life.began, life.since, life.changed, life.holds = began, now, now, True
    life.fired = life.resolved = life.asked = life.last_told = life.snoozed_until = life.quiet = None
    life.told = life.owed = life.counted = life.flapping = False
    life.state, life.hand, life.step, life.receivers = "", "", 0, []
    life.good, life.wanted, life.told_as = 0, 0, []
    life.finding = kept(finding)
    wear(life, rule, labels)
    life.annotations = annotated(life, rule)


def _ceased(life: Life, finding: Finding, policy: Policy, now: float) -> None:
    life.holds, life.changed = False, now
    life.good, life.wanted = finding.good, finding.wanted
    life.finding |= kept(finding)
    if not life.active:
        decided(life, "ceased_after_resolved_by_hand", now)
    elif life.state == "pending":
        end(life, "ceased_before_firing", now)
    elif life.flapping:
        settle(life, "ceased_while_flapping", now, record=True)
    elif now < _steady_at(life, policy):
        settle(life, "verifying_recovery", now, record=True, comment=_so_far(life, policy))
    else:
        end(life, "rule_ceased", now)


def _was_good(life: Life, finding: Finding, policy: Policy, now: float) -> None:
    """One more sample with which it did not hold; or no more will be told of, and time alone verifies its end."""
    life.good, life.wanted = max(life.good, finding.good), finding.wanted
    life.finding |= kept(finding)
    if now >= _steady_at(life, policy):
        _steadied(life, now, _so_far(life, policy))
    else:
        record = 0 < life.good <= _needed(life, policy)
        reason = "good_sample" if finding.wanted else "not_judged_any_more"
        settle(life, reason, now, record=record, comment=_so_far(life, policy))


def _needed(life: Life, policy: Policy) -> int:
    """How many good samples verify its end: as many as the rule says, if detect told of them when it ceased."""
    return min(life.wanted, policy.good_samples)


def _so_far(life: Life, policy: Policy) -> str:
    needed = _needed(life, policy)
    return f"{min(life.good, needed)} of {needed} good samples" if needed else ""


def on_tick(life: Life, policy: Policy, now: float, verdict: Verdict = never, below: Below = nothing) -> None:
    """Let time pass, in this order: fire; quiet begins or ends; snooze over; recovered; steady; escalate or remind."""
    if life.state == "pending":
        _ripen(life, policy, now, verdict, below)
    elif life.active:
        hush(life, verdict(life, now), now)
        if life.hand == "snoozed" and life.snoozed_until is not None and now >= life.snoozed_until:
            life.hand, life.snoozed_until = "", None
            settle(life, "snooze_over", now)
        if now >= _steady_at(life, policy):
            _steadied(life, now, _so_far(life, policy))
        if life.active and life.holds and life.state in LOUD and life.asked is not None:
            _insist(life, policy, now)
        if life.active and life.relist and now >= life.listed_at + RELIST_MS:
            life.annotations = annotated(life, policy.rule)
            settle(life, "members_changed", now, record=True)


def _ripen(life: Life, policy: Policy, now: float, verdict: Verdict, below: Below) -> None:
    """Fire what has held for its duration, unless it was told too lately; count its episode."""
    if now >= life.since + policy.for_ms and not life.counted:
        life.counted = True
        life.episodes = [t for t in life.episodes if t > now - policy.flap_within_ms] + [now]
        life.flapping = 0 < policy.flap_episodes < len(life.episodes)
        del life.episodes[: -(policy.flap_episodes + 1)]
    cooling = _cooled(life, policy) > life.since + policy.for_ms
    if not life.flapping and now < due(life, policy):
        if life.state != "pending":
            transition(life, "pending", "waiting_for_cooldown" if cooling else "waiting_for_duration", now, tell=False)
        return
    reason = "held_at_once" if life.state != "pending" else "cooldown_elapsed" if cooling else "duration_elapsed"
    life.fired, life.owed = now, True
    if (down := below(life)) or life.members:
        life.annotations = annotated(life, policy.rule, down)  # there may be more members by now
    keep_quiet(life, verdict(life, now))
    settle(life, "flapping" if life.flapping else reason, now)


def _cooled(life: Life, policy: Policy) -> float:
    return -1.0 if life.last_fired is None else life.last_fired + policy.cooldown_ms


def _steady_at(life: Life, policy: Policy) -> float:
    """When, without a change, an alert is taken for recovered, or for steady; infinite where it is neither."""
    if life.holds:
        return life.changed + policy.steady_ms if life.flapping else math.inf
    if life.good < _needed(life, policy):
        return math.inf
    return life.changed + max(policy.keep_ms, policy.steady_ms if life.flapping else 0.0)


def _steadied(life: Life, now: float, verified: str) -> None:
    if not life.holds:
        end(life, "flapping_over" if life.flapping else "recovery_verified", now, comment=verified)
        return
    life.flapping, life.episodes = False, []
    life.owed = life.hand != "acknowledged"
    settle(life, "flapping_over", now)


def _insist(life: Life, policy: Policy, now: float) -> None:
    """Nobody has answered: the next step of the escalation, or a reminder."""
    assert life.asked is not None
    if life.step < len(policy.steps) and now >= life.asked + policy.steps[life.step].after_ms:
        receivers = policy.steps[life.step].receivers
        life.step += 1
        life.receivers += [r for r in receivers if r not in life.receivers]
        life.owed = True
        settle(life, "not_acknowledged_in_time", now)
    elif _reminds(life, policy) and now >= (life.last_told or 0.0) + policy.remind_ms:
        life.owed = True
        settle(life, "reminder", now)


def _reminds(life: Life, policy: Policy) -> bool:
    return policy.remind_ms > 0 and not life.flapping


def due(life: Life, policy: Policy) -> float:
    """The next time at which `on_tick` may do something, if nothing else happens before; infinite where there is none.

    The duration counts from when the broker took the finding, not from the sample's own time: a backlog, or a probe
    whose clock is wrong, must not use it up before anybody could have ended it.
    """
    if life.state in ("pending", "") and life.holds:
        ripe = life.since + policy.for_ms
        return max(ripe, _cooled(life, policy)) if life.counted or not policy.flap_episodes else ripe
    if not life.active:
        return math.inf
    times = [_steady_at(life, policy)]
    if life.relist:
        times.append(life.listed_at + RELIST_MS)
    if life.hand == "snoozed" and life.snoozed_until is not None:
        times.append(life.snoozed_until)
    if life.quiet is not None and life.quiet["until"] is not None:
        times.append(life.quiet["until"])
    if life.holds and life.state in LOUD and life.asked is not None:
        if life.step < len(policy.steps):
            times.append(life.asked + policy.steps[life.step].after_ms)
        if _reminds(life, policy):
            times.append((life.last_told or 0.0) + policy.remind_ms)
    return min(times)


def on_acknowledged(life: Life, actor: str, comment: str, now: float) -> None:
    """Take in that a person has seen it and cares for it: no more reminders and no escalation, but its end is told."""
    if life.state not in FIRED or life.hand == "acknowledged":
        decided(life, "acknowledged_already" if life.hand else "not_firing", now, actor)
        return
    life.hand, life.snoozed_until, life.owed, life.asked = "acknowledged", None, False, None
    settle(life, "acknowledged", now, actor=actor, comment=comment)


def on_snoozed(life: Life, until: float, actor: str, comment: str, now: float) -> None:
    """Take in that a person does not want to hear of it before `until`; if it still fires then, it is told again."""
    if life.state not in FIRED or until <= now:
        decided(life, "not_firing" if life.state not in FIRED else "snooze_in_the_past", now, actor)
        return
    again = life.hand == "snoozed"
    life.hand, life.snoozed_until = "snoozed", until
    start_over(life)
    settle(life, "snoozed", now, record=again, actor=actor, comment=comment)


def on_handed_back(life: Life, hand: str, actor: str, comment: str, now: float) -> None:
    """Take in that an acknowledgement or a snooze is withdrawn: it is told again, and the escalation begins anew."""
    if life.state not in FIRED or life.hand != hand:
        decided(life, f"not_{hand}", now, actor)
        return
    life.hand, life.snoozed_until = "", None
    start_over(life)
    settle(life, f"no_longer_{hand}", now, actor=actor, comment=comment)


def on_resolved(life: Life, actor: str, comment: str, now: float) -> None:
    """Take in that a person has ended the episode; the next one begins after the rule has ceased to hold once."""
    if not life.active:
        decided(life, "not_firing", now, actor)
        return
    end(life, "resolved_by_hand", now, actor=actor, comment=comment)


def on_removed(life: Life, reason: str, now: float) -> None:
    """End the episode because its rule or target is no more: what fired is resolved, and people are told."""
    life.holds = False
    if life.active:
        end(life, reason, now)
    # What comes back is judged anew, and its findings are news though they be numbered as before.
    life.finding |= {"time": -1.0, "source_offset": -1, "source_sample": -1, "sequence": -1}
    life.members, life.relist = {}, False
