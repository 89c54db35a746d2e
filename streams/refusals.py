"""What is wrong with a value, in words for whoever wrote it: those of pydantic are about Python's types."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_WORD = re.compile(r"'([^']+)'")
_LIST, _MAPPING = "must be a list: [a, b], or a line with a dash for each", "must be a mapping: {name: value}"
_PLAIN = {
    "tuple_type": _LIST, "list_type": _LIST, "set_type": _LIST, "frozen_set_type": _LIST,
    "dict_type": _MAPPING, "mapping_type": _MAPPING, "model_type": _MAPPING, "model_attributes_type": _MAPPING,
}  # fmt: skip


def said(error: Mapping[str, Any]) -> str:
    """The message of one of pydantic's errors; of a word that is none of those that may stand there, the nearest.

    `error` may lack `ctx` and `input`; nothing of `input` is repeated.
    """
    kind, message = str(error["type"]), str(error["msg"]).removeprefix("Value error, ")
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "string_type":
        given = type(error.get("input"))
        return "must be a text" + ("; write it in quotes" if given in (int, float, bool) else "")
    if kind == "literal_error" and isinstance(word := error.get("input"), str):
        return message + meant(word, _WORD.findall(str(error.get("ctx", {}).get("expected", ""))))
    return message


def meant(word: str, known: Iterable[str]) -> str:
    """``; did you mean x?`` with the nearest of the `known` words, also where case or an ending differs; or nothing."""
    words = {w.lower(): w for w in known}
    have = word.lower()
    close = (
        difflib.get_close_matches(have, words, n=1) or [w for w in words if len(have) > 1 and w.startswith(have)][:1]
    )
    return f"; did you mean {words[close[0]]}?" if close else ""
