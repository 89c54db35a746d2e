"""Series of values in promtool's notation: ``1 2``, ``0+10x5``, ``1x4``, ``_``, ``_x3``, ``stale``.

``a+bxn`` is a and n more values, each greater by b; ``a-bxn`` lesser by b; ``axn`` is a and n more of the same;
``_`` is a step at which nothing comes, ``_xn`` is n of them.
"""

from __future__ import annotations

import math
import re

MOST_STEPS = 1_000_000
_NUMBER = r"(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN])"
_ITEM = re.compile(rf"(?P<start>[+-]?{_NUMBER})(?:(?P<step>[+-]{_NUMBER})?x(?P<count>\d+))?")
_MISSING = re.compile(r"(?:_|stale)(?:x(?P<count>\d+))?")
_WORD = re.compile(r"\S+")


class NotationError(ValueError):
    """A text is no series; `offset` is where in it, counted from 0."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def values(text: str) -> list[float | None]:
    """The values in `text`, one a step; None where nothing comes, NaN where a sample comes without this value.

    A stale marker is a step at which nothing comes. Raises NotationError.
    """
    found: list[float | None] = []
    for word in _WORD.finditer(text):
        found += _expanded(word[0], word.start(), MOST_STEPS - len(found))
    if not found:
        raise NotationError("no values; write for instance 100x10", 0)
    return found


def _expanded(word: str, at: int, room: int) -> list[float | None]:
    missing = _MISSING.fullmatch(word)
    if missing is not None:
        if word.startswith("stale") and missing["count"]:
            raise NotationError(f"a series is stale once; write stale _x{missing['count']}", at + len("stale"))
        return [None] * _room(missing["count"] or "1", room, at)
    item = _ITEM.match(word)
    if item is None:
        raise NotationError(f"{word!r:.60} is no value: write a number, a+bxn, axn, _ or stale", at)
    if item.end() < len(word):
        raise NotationError(_rest(word, item), at + item.end())
    start = float(item["start"])
    if math.isinf(start):
        raise NotationError("a value is a finite number", at)
    if item["count"] is None:
        return [start] * _room("1", room, at)
    step = float(item["step"] or 0.0)
    if not math.isfinite(step):
        raise NotationError("a step is a finite number", at + item.start("step"))
    count = _room(item["count"], room - 1, at) + 1
    series = [start + i * step for i in range(count)]
    if math.isinf(series[-1]):
        raise NotationError("grows beyond every number", at)
    return list(series)


def _rest(word: str, item: re.Match[str]) -> str:
    rest = word[item.end() :]
    if rest[0] in "+-" and item["count"] is None and (len(rest) == 1 or rest[1] in "xX"):
        return f"{word!r:.60}: after {rest[0]} comes a step, a number"
    if rest[0] in "+-" and item["count"] is None:
        return f"{word!r:.60} has a step and no number of repetitions: write {word:.40}x10"
    if rest[0] in "xX*":
        return f"{word!r:.60}: after x comes how often, a whole number"
    if rest[0] == ",":
        return "values are separated by spaces"
    return f"{word!r:.60}: {rest!r:.30} is too much; write a number, a+bxn, axn, _ or stale"


def _room(count: str, room: int, at: int) -> int:
    if len(count) > 9 or int(count) > room:
        raise NotationError(f"more than {MOST_STEPS:,} steps: test with a longer interval", at)
    return int(count)
