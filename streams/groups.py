"""One alert for a group of targets: N of M, or a share of them.

A grouped rule is judged for each target, and the findings of a group's members meet in one partition, by
`group_key`; the life of the group counts for whom the rule holds. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from schemas import Finding
from streams.life.known import decided_by, is_known

if TYPE_CHECKING:
    from streams.life.life import Life
    from streams.rules import Rule

PREFIX = "group:"
_ALL = "all"


def is_grouped(rule: Rule) -> bool:
    """Whether `rule` is about groups of targets, and not about each."""
    return rule.grouped


def group_of(rule: Rule, labels: Mapping[str, str]) -> str:
    """Name of the group of `rule` that a target with `labels` is in; it stands where an alert's target does."""
    return PREFIX + (",".join(f"{name}={labels.get(name, '')}" for name in rule.group_by) or _ALL)


def group_key(rule: Rule, labels: Mapping[str, str]) -> str:
    """Key of a member's findings and of the group's life: what has the same one meets in one partition."""
    return f"{group_of(rule, labels)}/{rule.name}"


def finding_key(rule: Rule, target: str, labels: Mapping[str, str]) -> str:
    """Key, and by `partition_of` the partition, of a finding of `rule` about `target`, grouped or not."""
    return group_key(rule, labels) if is_grouped(rule) else f"{target}/{rule.name}"


def labels_of(rule: Rule, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a group's alert: those that its members share by the rule, and `group`."""
    return {**{name: labels.get(name, "") for name in rule.group_by}, "group": group_of(rule, labels)}


def needed(rule: Rule, total: int) -> int:
    """For how many of `total` members the rule must hold before it holds for the group; one, if nothing is said."""
    # Against 0.1 + 0.2: a share that is met but for rounding is met.
    by_share = 0 if rule.share is None else math.ceil(rule.share * total - 1e-9)
    return max(1, rule.at_least or 0, by_share)


def holding(life: Life) -> list[str]:
    """The members for which the rule holds, in order."""
    return sorted(name for name, member in life.members.items() if member["holds"])


def take_member(life: Life, finding: Finding, rule: Rule, configured: Collection[str], now: float) -> Finding | None:
    """Take in a finding about a member; the finding about the group that follows, or None where nothing does.

    `configured` are the group's targets by the configuration; those that push by themselves are counted as they come.
    """
    before = life.members.get(finding.target)
    if before is not None and is_known(before, finding):
        return None
    # A member counts until the end is verified for it.
    verifying = before is not None and before["holds"] and finding.good < min(finding.wanted, rule.good_samples)
    holds = finding.holds or verifying
    if before is None or before["holds"] != holds:
        life.relist = True
    life.members[finding.target] = {
        "holds": holds,
        "at": now,
        "pushed": finding.target not in configured,
        **({"verified": [finding.good, finding.wanted]} if verifying and not finding.holds else {}),
        **decided_by(before or {}, finding),
    }
    life.total = len(configured) + sum(1 for m in life.members.values() if m["pushed"])
    return judge(life, rule, finding)


def judge(life: Life, rule: Rule, last: Finding) -> Finding | None:
    """The finding about the group, decided by the member's finding `last`; None where it says what is known."""
    count, want = len(holding(life)), needed(rule, life.total)
    if (count >= want) == life.holds:
        return None
    values: dict[str, Any] = {
        **last.to_dict(),
        "target": life.target,
        "holds": count >= want,
        "metric": "members",
        "aggregate": "count",
        "operator": ">=",
        "threshold": float(want),
        "value": float(count),
        # A group's finding is made from members' findings that were new: it is new.
        "sequence": int(life.finding.get("sequence", -1)) + 1,
        "good": 0,
        "wanted": 0,
    }
    return Finding.from_dict(values)


def reconfigure(life: Life, rule: Rule, configured: Collection[str], now: float) -> Finding | None:
    """Take in which targets the group has by the configuration now; the finding about it that follows, or None."""
    gone = [name for name, m in life.members.items() if name not in configured and not m["pushed"]]
    for name in gone:
        life.relist = life.relist or life.members[name]["holds"]
        del life.members[name]
    for member in life.members.values():
        good, wanted = member.get("verified") or (0, 0)
        if wanted and member["holds"] and good >= min(wanted, rule.good_samples):
            member["holds"], life.relist = False, True
    life.total = len(set(configured) | set(life.members))
    last = Finding(
        target=life.target,
        rule=rule.name,
        holds=False,
        time=now,
        severity=rule.severity,
        metric="members",
        aggregate="count",
        operator=">=",
        threshold=0.0,
        value=0.0,
    )
    return judge(life, rule, last)


def forget_members(life: Life, before: float) -> None:
    """Let go of members for which the rule has not held since `before`: no finding comes again that late."""
    old = [name for name, member in life.members.items() if not member["holds"] and member["at"] < before]
    for name in old:
        del life.members[name]
