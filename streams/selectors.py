"""Several matchers in one text, as Alertmanager writes them: ``{kind="host", dc=~"a|b"}``, also without braces."""

from __future__ import annotations

import re
from functools import lru_cache

from streams.labels import parse

# One matcher and the comma after it; a value with a comma, a space or a quote in it stands in quotes.
_PART = re.compile(r'\s*([A-Za-z_][\w.-]*\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|[^",\s]*))\s*(?:,|$)')
_LOOKS = re.compile(r"^\s*\{|[=~]")


@lru_cache(maxsize=16384)
def selector(text: str) -> tuple[str, ...]:
    """The matchers in `text`, which all must pass. Raises ValueError where one is none, or there is none."""
    inner = text.strip()
    if inner.startswith("{") != inner.endswith("}"):
        raise ValueError(f"{text!r}: a brace is missing")
    inner = inner.removeprefix("{").removesuffix("}").strip()
    found, at = [], 0
    while at < len(inner):
        part = _PART.match(inner, at)
        if part is None:
            raise ValueError(f'{text!r} is no list of matchers; write for instance kind="host", dc="a"')
        parse(part[1])
        found.append(part[1])
        at = part.end()
    if not found:
        raise ValueError(f'{text!r} has no matcher; write for instance kind="host"')
    return tuple(found)


def looks_like_selector(text: str) -> bool:
    """Whether `text` is meant as matchers rather than as a name."""
    return _LOOKS.search(text) is not None
