"""Rules on other alerts: they hold while a combination of other rules' alerts is active. Pure.

A composite is judged for each target, or for each group where it names `group_by`: another rule counts as active
there while one of its alerts has fired and has not resolved, acknowledged, snoozed and suppressed ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import Finding
from streams.groups import group_of
from streams.labels import matches

if TYPE_CHECKING:
    from streams.rules import Rule

_AGGREGATE = "active"  # no rule that looks at samples has it


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands, of whatever partition: what other alerts may depend on.

    `at` is when it came there, `turned` when it fired, or resolved; milliseconds.
    """

    id: str
    number: int
    rule: str
    target: str
    labels: Mapping[str, str]
    severity: str
    state: str
    began: float
    at: float
    turned: float


def is_composite(rule: Rule) -> bool:
    """Whether `rule` is about other alerts."""
    return rule.alerts is not None


def names(expression: Any) -> frozenset[str]:
    """Every rule that an expression names."""
    if expression is None:
        return frozenset()
    if isinstance(expression, str):
        return frozenset((expression,))
    return frozenset().union(*(names(part) for _, parts in _nodes(expression) for part in parts))


def holds(expression: Any, active: Callable[[str], bool]) -> bool:
    """Whether an expression of all, any, not and names holds; `all`, `any` and `not` beside each other must all."""
    if isinstance(expression, str):
        return active(expression)
    verdicts = []
    for kind, parts in _nodes(expression):
        each = [holds(part, active) for part in parts]
        verdicts.append(any(each) if kind == "any" else not any(each) if kind == "not" else all(each))
    return bool(verdicts) and all(verdicts)


def _nodes(expression: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """(kind, parts) of an expression, whether a mapping, a list (all) or an object with fields all_, any_, not_."""
    if isinstance(expression, (list, tuple)):
        return [("all", tuple(expression))]
    found = []
    for kind in ("all", "any", "not"):
        value = expression.get(kind) if isinstance(expression, Mapping) else getattr(expression, f"{kind}_", None)
        if value:
            parts = tuple(value) if isinstance(value, (list, tuple)) else (value,)
            found.append((kind, parts))
    return found


def also_called(standing: Standing) -> tuple[str, ...]:
    """The names by which a composite may mean this alert: its rule's, and of a rule of a pair that of the pair."""
    return tuple(dict.fromkeys((standing.rule, standing.labels.get("alertname", standing.rule))))


def place(rule: Rule, target: str, labels: Mapping[str, str]) -> str | None:
    """Where an alert on `target` counts for the composite `rule`: its target, or group; None: nowhere."""
    if rule.match and not matches(rule.match, labels):
        return None
    return group_of(rule, labels) if rule.group_by else target


def judged_from_alerts(seen: Mapping[str, Any]) -> bool:
    """Whether what a life keeps of its last finding is of one that `finding` made."""
    return seen.get("aggregate") == _AGGREGATE


def finding(rule: Rule, where: str, active: Iterable[str], at: float, *, is_held: bool) -> Finding:
    """The finding that a composite began, or ceased, to hold at `where`; `active` are the rules active there."""
    there = sorted(active)
    return Finding(
        target=where,
        rule=rule.name,
        holds=is_held,
        time=at,
        severity=rule.severity,
        metric="alerts",
        aggregate=_AGGREGATE,
        operator=">=",
        threshold=1.0,
        value=float(len(there)),
        message=", ".join(there) or "none of its alerts is active",
    )
