"""What becomes of an alert when its rule, or its target's labels, are edited while it is active.

Which alert it is stays: its id is of the rule's name, the target or group, and the time it began, and people who were
told of it know it by that. How it is shown, severity, labels and texts, is as the rule says now.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson

from streams.life.life import FIRED
from streams.life.quiet import keep_quiet, never, start_over
from streams.life.transitions import PROGRAM, annotated, settle, transition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.life.life import Life
    from streams.life.policy import Policy
    from streams.life.quiet import Verdict
    from streams.rules import Rule

_RANK = {"info": 0, "warning": 1, "critical": 2}


def wear(life: Life, rule: Rule, labels: Mapping[str, str]) -> None:
    """Show the alert as `rule` says, over the `labels` of its target or group; its texts are not rendered here."""
    life.severity, life.own, life.wording = rule.severity, dict(labels), _wording(rule)
    life.labels = {**labels, **rule.labels, "alertname": rule.alert_name, "rule": rule.name, "severity": rule.severity}


def _wording(rule: Rule) -> str:
    """A digest of the rule's texts, which change what is shown; the values in them do not."""
    return hashlib.sha256(orjson.dumps(rule.annotations, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def on_edited(
    life: Life,
    policy: Policy,
    labels: Mapping[str, str],
    now: float,
    *,
    verdict: Verdict = never,
    below: Callable[[Life], Sequence[str]] | None = None,
    actor: str = PROGRAM,
    version: int = 0,
) -> bool:
    """Take in how the rule, and `labels` of the target or group, are now; whether an active alert is shown anew.

    A severity that was raised is told at once, also where somebody has acknowledged or snoozed what was less severe:
    the critical alert of a pair would be, too. Nothing else that is edited is told by itself.
    """
    if not life.active:
        return False
    rule, before = policy.rule, (life.severity, life.labels, life.wording)
    own = life.own
    wear(life, rule, labels)
    if before == (life.severity, life.labels, life.wording):
        return False
    if not before[2] and before[:2] == (life.severity, life.labels):
        return False  # stored by a version that kept no digest
    by_rule = own == life.own or before[0] != life.severity or before[2] != life.wording
    life.finding["rule_version"] = version if by_rule else life.finding.get("rule_version", 0)
    life.annotations = annotated(life, rule, below(life) if below is not None else ())
    if life.told and not life.told_as:
        life.told_as = [before[1]]
    reason, comment = ("rule_edited", f"version {version}" if version else "") if by_rule else ("target_edited", "")
    if life.state not in FIRED:
        transition(life, life.state, reason, now, tell=False, actor=actor, comment=comment)
        return True
    if _RANK[life.severity] > _RANK.get(before[0], 0):
        life.hand, life.snoozed_until = "", None
        start_over(life)
    quiet = verdict(life, now)
    if quiet is not None and life.quiet is None:
        start_over(life)
    keep_quiet(life, quiet)
    settle(life, reason, now, record=True, actor=actor, comment=comment)
    return True
