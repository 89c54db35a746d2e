"""Paths into a JSON body: ``.user.name``, ``.items[0].id``, ``[0]``."""

from __future__ import annotations

import re
from typing import Any

import orjson

Path = tuple["str | int", ...]

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,9})\]")
MISSING = object()


def parse_path(text: str) -> Path:
    """The steps in `text`, which is what stands after ``[BODY]``. Raises ValueError."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(
                f"{text!r} is no path into the body; write for instance [BODY].user.name or [BODY].items[0]"
            )
        key, index = found.groups()
        steps.append(key if key is not None else int(index))
        at = found.end()
    return tuple(steps)


def load(body: bytes) -> Any:
    """The JSON value in `body`, or MISSING where it is none."""
    try:
        return orjson.loads(body)
    except ValueError:
        return MISSING


def find(value: Any, path: Path) -> Any:
    """What `path` leads to in `value`, or MISSING; a null is as good as missing, as in Gatus."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else MISSING
        else:
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
    return MISSING if value is None else value


def as_text(value: Any) -> str:
    """`value` as a condition compares it: a string is itself, everything else its JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # it reads deeper nesting than it writes
        return "(nested too deeply)"
