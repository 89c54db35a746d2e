"""What must hold between rules: names that are unique, alerts of rules that there are, and no cycle among them."""

from __future__ import annotations

import difflib
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from streams.rules.expand import expand
from streams.rules.problems import Place, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.rules.model import Rule

_Problem = tuple[Place | str, str]


def together(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """`rules` as they are judged. Raises ValidationError, whose places begin with the rule's index."""
    problems = [*_names(rules), *_unknown(rules)] or _cycles(rules)
    if problems:
        raise wrong(*problems)
    return expand(rules)


def _names(rules: Sequence[Rule]) -> list[_Problem]:
    found: list[_Problem] = []
    for field in ("name", "id"):
        first: dict[str, int] = {}
        for i, rule in enumerate(rules):
            name = getattr(rule, field)
            if name is not None and first.setdefault(name, i) != i:
                found.append(((i, field), f"{name!r} is already the {field} of another rule, rules[{first[name]}]"))
    made: dict[str, int] = {}
    for i, rule in enumerate(rules):
        for one in expand((rule,)):
            if made.setdefault(one.name, i) != i and rule.name != rules[made[one.name]].name:
                other = rules[made[one.name]].name
                found.append(((i, "name"), f"{one.name!r} would be there twice: {other!r} makes a rule of this name"))
    return found


def _unknown(rules: Sequence[Rule]) -> list[_Problem]:
    known = {r.name for r in rules} | {one.name for one in expand(rules)} | {r.pair for r in rules if r.pair}
    found: list[_Problem] = []
    for i, rule in enumerate(rules):
        for place, name in rule.alerts.names() if rule.alerts is not None else ():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                meant = f"; did you mean {close[0]}?" if close else ""
                found.append(((i, "alerts", *place), f"there is no rule {name!r}{meant}"))
    return found


def _cycles(rules: Sequence[Rule]) -> list[_Problem]:
    """Rules whose alerts depend on their own."""
    looks_at = {r.name: {n for _, n in r.alerts.names()} for r in rules if r.alerts is not None}
    try:
        TopologicalSorter(looks_at).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        at = next(i for i, r in enumerate(rules) if r.name == circle[0])
        return [((at, "alerts"), f"alerts depend on themselves: {' → '.join(circle)}")]
    return []
