"""One rule of the file is up to two that are judged: a pair of thresholds, or the burn rates of an objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.rules.condition import Condition
from streams.rules.slo import BURNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streams.rules.model import Rule


def expand(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """`rules` as they are judged, in their order; what has been expanded stays as it is.

    The two of a pair are named ``name:warning`` and ``name:critical`` and have `pair` set to the name.
    """
    return tuple(one for rule in rules for one in _expanded(rule))


def written_name(rule: Rule) -> str:
    """The name in the file of what `rule` came of."""
    return rule.pair if rule.name == f"{rule.pair}:{rule.severity}" else rule.name


def _expanded(rule: Rule) -> Iterator[Rule]:
    if rule.slo is not None:
        yield from _burns(rule)
    elif rule.warning is not None and rule.critical is not None:
        for severity in ("critical", "warning"):
            yield rule.model_copy(
                update={
                    "name": f"{rule.name}:{severity}",
                    "pair": rule.name,
                    "severity": severity,
                    "value": getattr(rule, severity),
                    "warning": None,
                    "critical": None,
                }
            )
    else:
        yield rule


def _burns(rule: Rule) -> Iterator[Rule]:
    assert rule.slo is not None
    for burn in BURNS:
        both = [
            {
                "metric": "error_rate",
                "window": window,
                "operator": ">",
                "value": rule.slo.threshold(burn),
                "min_samples": rule.min_samples,
            }
            for window in (burn.long_s, burn.short_s)
        ]
        parts = tuple(Condition.model_validate(c) for c in both)
        first = {name: getattr(parts[0], name) for name in ("metric", "aggregate", "window", "operator", "value")}
        yield rule.model_copy(
            update={
                **first,
                "name": f"{rule.name}:{burn.severity}",
                "pair": rule.name,
                "severity": burn.severity,
                "slo": None,
                "all_": parts,
                "labels": {"slo": f"{rule.slo.objective:g}", **rule.labels},
            }
        )
