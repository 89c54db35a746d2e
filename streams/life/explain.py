"""Why was I, or was I not, paged? The decisions of a life, each with its named reason in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Alert
    from streams.life.life import Life

REASONS = {
    "held_at_once": "The rule began to hold, and has no duration to wait for.",
    "waiting_for_duration": "The rule began to hold; it must go on to hold for its duration before anybody is told.",
    "waiting_for_cooldown": "The same alert was told so lately that it waits until its cooldown is over.",
    "duration_elapsed": "The rule held for its whole duration.",
    "cooldown_elapsed": "The rule still held when the cooldown was over.",
    "ceased_before_firing": "The rule ceased to hold before its duration, or the cooldown, was over.",
    "flapping": "It came and went so often that it is told once, and then not until it is steady.",
    "ceased_while_flapping": "The rule ceased to hold; it may be back at once, so nobody is told yet.",
    "held_again_while_flapping": "The rule holds again; that it flaps is told already.",
    "flapping_over": "Nothing has changed for long enough: it flaps no more.",
    "verifying_recovery": "The rule ceased to hold; that it stays so is being verified.",
    "good_sample": "One more sample with which the rule did not hold.",
    "not_judged_any_more": "Its rule is no longer judged for its target: no further sample verifies its end.",
    "held_again": "The rule holds again before its recovery was verified: it is the same episode.",
    "recovery_verified": "The rule did not hold again while its recovery was verified.",
    "rule_ceased": "The rule ceased to hold.",
    "still_holds": "A finding said what was known: the rule holds.",
    "finding_known_already": "A finding came again after a restart; it had been taken in before.",
    "suppression_over": "What kept it quiet has ended; whoever was not told is told if it still fires.",
    "maintenance": "A maintenance window is open for it: it is watched, and nobody is told.",
    "cause_down": "Something that its target depends on is down, and that is told.",
    "waiting_for_cause": "Its target depends on others: it waits a moment for the news that one of those is down.",
    "waiting_after_cause": "What its target depends on is up again: it has a moment to recover by itself.",
    "inhibited": "Another alert fires that keeps this one quiet.",
    "silenced": "A silence matches it: it is watched, and nobody is told.",
    "snoozed": "Somebody does not want to hear of it for a while.",
    "snooze_over": "The snooze is over; it is told again if it still fires.",
    "snooze_in_the_past": "A snooze that had ended before it came changed nothing.",
    "no_longer_snoozed": "The snooze was withdrawn.",
    "acknowledged": "Somebody cares for it: no reminders and no escalation until it resolves.",
    "acknowledged_already": "It was acknowledged, and so it stayed.",
    "no_longer_acknowledged": "The acknowledgement was withdrawn: it is told again, and the escalation begins anew.",
    "not_firing": "It did not fire then, so what was asked of it changed nothing.",
    "not_acknowledged": "There was no acknowledgement to withdraw.",
    "not_snoozed": "There was no snooze to withdraw.",
    "not_acknowledged_in_time": "Nobody acknowledged it in time: the next step of the escalation.",
    "reminder": "It still fires and nobody has acknowledged it.",
    "resolved_by_hand": "Somebody declared it over.",
    "resolved_by_hand_before": "It holds, but somebody declared it over; the next episode begins after it has ceased.",
    "ceased_after_resolved_by_hand": "The rule ceased to hold after somebody had declared it over.",
    "members_changed": "The rule holds for other members of the group.",
    "rule_edited": "Its rule was edited: it is shown as the rule says now; a severity that was raised is told at once.",
    "target_edited": "Its target's labels were edited: it is shown with them.",
    "rule_removed": "Its rule is no more.",
    "rule_no_longer_matches": "Its rule no longer matches the target's labels.",
    "target_removed": "Its target is no more.",
}


def in_words(reason: str) -> str:
    """What a named reason means; of an unknown one, its own words."""
    return REASONS.get(reason, reason.replace("_", " ").capitalize() + ".")


def explain(life: Life) -> list[dict[str, Any]]:
    """The last decisions of a life, oldest first: at (milliseconds), reason, detail, and the reason in words."""
    return [{**d, "words": in_words(d["reason"])} for d in life.decisions]


def explain_transitions(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """The same from an alert's transitions, as the `alerts` topic has them, with what each one led to.

    A decision that made a transition also has number, state, told and by.
    """
    told: list[dict[str, Any]] = []
    for alert in sorted(alerts, key=lambda a: a.number):
        decisions = alert.decisions or [{"at": alert.at, "reason": alert.reason, "detail": alert.comment}]
        told += [{**d, "words": in_words(d["reason"])} for d in decisions]
        told[-1] |= {"number": alert.number, "state": alert.state, "told": alert.notify, "by": alert.by or alert.actor}
    return told
