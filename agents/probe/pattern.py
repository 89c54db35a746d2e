"""Shell patterns: ``*`` is any text, ``?`` any character, ``[a-z]`` one of a set; a backslash takes the meaning away.

A pattern meets bodies of a megabyte that a stranger wrote, so it must not backtrack: it is cut at its stars, and each
piece is looked for once, leftmost after the one before. That finds a match wherever there is one.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CHARACTER = re.compile(r"\[(?:\\.|[^\\\]])+\]|\\.|.", re.DOTALL)
_TOKEN = re.compile(r"\\(.)|(\*)|(\?)|\[(\^?)((?:\\.|[^\\\]])+)\]|(.)", re.DOTALL)


@lru_cache(maxsize=4096)
def _pieces(pattern: str) -> tuple[re.Pattern[str], ...]:
    pieces = [""]
    for escaped, star, any_one, negated, chosen, plain in _TOKEN.findall(pattern):
        if star:
            pieces.append("")
        elif any_one:
            pieces[-1] += "."
        elif chosen:
            pieces[-1] += f"[{'^' if negated else ''}{_set(chosen)}]"
        else:
            pieces[-1] += re.escape(escaped or plain)
    return tuple(re.compile(piece, re.DOTALL) for piece in pieces)


def _set(chosen: str) -> str:
    """The inside of a set: a ``-`` between two characters is a range, everything else is itself."""
    parts: list[str] = [escaped or plain for escaped, plain in re.findall(r"\\(.)|(.)", chosen, re.DOTALL)]
    ranges = {i for i in range(1, len(parts) - 1) if parts[i] == "-"}
    return "".join("-" if i in ranges else re.escape(part) for i, part in enumerate(parts))


def check(pattern: str) -> None:
    """Raise ValueError where `pattern` is none."""
    try:
        _pieces(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no pattern: {error}") from error


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` matches `pattern`, in time that grows with the length of `text`."""
    first, *rest = _pieces(pattern)
    if not rest:
        return first.fullmatch(text) is not None
    found = first.match(text)
    if found is None:
        return False
    at = found.end()
    *middle, last = rest
    for piece in middle:
        found = piece.search(text, at)
        if found is None:
            return False
        at = found.end()
    start = len(text) - _length(last)  # a piece has one length, so the last one can be at one place only
    return start >= at and last.fullmatch(text, start) is not None


@lru_cache(maxsize=4096)
def _length(piece: re.Pattern[str]) -> int:
    """How many characters `piece` matches: it is a sequence of single characters."""
    return len(_CHARACTER.findall(piece.pattern))
