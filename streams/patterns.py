"""Regular expressions that anybody may write, and that must not hold up a worker: refused where they may take long.

Python's engine tries every way in which repeats can share a text. A repeat or a choice within a repeat, as in
``(a+)+b`` and ``(a|ab)*c``, may have exponentially many; a row of n repeats, the text's length to the power of n.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as sre  # type: ignore[attr-defined]  # the only way to a pattern's structure
from re import _parser  # type: ignore[attr-defined]  # the same
from typing import Any

_MOST_REPEATS = 5
_MOST_CHARACTERS = 2000
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def refuse_costly(pattern: str) -> None:
    """Raise ValueError, which re.error is not, where matching `pattern` may take very long."""
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"longer than {_MOST_CHARACTERS} characters")
    try:
        parsed = _parser.parse(pattern)
    except re.error:  # whoever compiles it says so better
        return
    if max((depth for depth, _ in _repeats(parsed, 0)), default=0) > 1:
        raise ValueError("a repeat or choice within a repeat may take for ever: write for instance [ab]+ for (a+|b)+")
    if sum(1 for _ in _repeats(parsed, 0)) > _MOST_REPEATS:
        raise ValueError(f"more than {_MOST_REPEATS} repeats (* or +): write several matchers")


def _repeats(parsed: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """Every repeat without a small limit, and every choice in one, with how many repeats deep it is."""
    for operator, argument in parsed:
        wide = operator in _REPEATS and (argument[1] is sre.MAXREPEAT or argument[1] - argument[0] > 10)
        if wide or (depth and operator is sre.BRANCH):
            yield depth + 1, operator
        for inner in _inner(operator, argument):
            yield from _repeats(inner, depth + wide)


def _inner(operator: Any, argument: Any) -> list[Any]:
    """The patterns within a part of a pattern; an atomic group's are left out, as it gives nothing back."""
    if operator in _REPEATS:
        return [argument[2]]
    if operator in (sre.ASSERT, sre.ASSERT_NOT):
        return [argument[1]]
    if operator is sre.BRANCH:
        return list(argument[1])
    if operator is sre.SUBPATTERN:
        return [argument[-1]]
    if operator is sre.GROUPREF_EXISTS:
        return [part for part in argument[1:] if part is not None]
    return []
