"""What operators said of alerts: a false alarm, or a true one. From their comments, and from a file."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from streams.instants import instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from probestream.backtest.episodes import Episode

Word = Literal["false_positive", "true_positive"]
_FALSE = re.compile(r"false[\s_-]*(positive|alarm)|(?<![\w-])(fp|noise|noisy)(?![\w-])", re.IGNORECASE)
_TRUE = re.compile(r"true[\s_-]*positive|real[\s_-]*(incident|outage|problem)|(?<![\w-])tp(?![\w-])", re.IGNORECASE)
_NOT = re.compile(r"\b(no|not|isn't|never)\s+(a\s+)?$", re.IGNORECASE)
_COLUMNS = ("alert", "rule", "target", "from", "to", "label")


class LabelError(ValueError):
    """A file of labels cannot be used."""


@dataclass(frozen=True, slots=True)
class Label:
    """What was said of alerts: of the one with this id, or of those of `rule` and `target` at a time (ms).

    An empty `rule` or `target` means any.
    """

    word: Word
    alert: str = ""
    rule: str = ""
    target: str = ""
    from_ms: float = -math.inf
    to_ms: float = math.inf


def word_in(text: str) -> Word | None:
    """What a comment calls an alert; None where it says neither, or both."""
    false = any(not _NOT.search(text[: m.start()]) for m in _FALSE.finditer(text))
    true = any(not _NOT.search(text[: m.start()]) for m in _TRUE.finditer(text))
    return None if false == true else "false_positive" if false else "true_positive"


def spoken(alerts: Iterable[Episode]) -> list[Label]:
    """What people said of alerts that did fire; of several words about one, the last."""
    found = []
    for episode in alerts:
        words = [word for remark in episode.remarks if (word := word_in(remark.comment)) is not None]
        if words and episode.fired is not None:
            end = math.inf if episode.end is None else episode.end
            found.append(Label(words[-1], episode.id, episode.rule, episode.target, episode.fired, end))
    return found


def read(path: Path) -> list[Label]:
    """Labels of a CSV file with a heading: `label`, and `alert`, or `rule`, `target`, `from` and `to`.

    Raises LabelError, with the line.
    """
    found = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            names = rows.fieldnames or []
            if unknown := [n for n in names if n not in _COLUMNS]:
                raise LabelError(f"{path}:1: no column {unknown[0]!r}; there may be {', '.join(_COLUMNS)}")
            if "label" not in names or not {"alert", "rule", "target"} & set(names):
                raise LabelError(f"{path}:1: a heading is needed, with label, and alert, rule or target")
            for row in rows:
                given = {k: (v or "").strip() for k, v in row.items() if k}
                found.append(_label(f"{path}:{rows.line_num}", given))
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{path}: is no CSV: {error}") from error
    return found


def _label(place: str, row: dict[str, str]) -> Label:
    word = word_in(row["label"].replace("_", " "))
    if word is None:
        raise LabelError(f"{place}: label: {row['label']!r:.60} is neither false_positive nor true_positive")
    if not any(row.get(n) for n in ("alert", "rule", "target")):
        raise LabelError(f"{place}: names no alert, rule or target")
    times = []
    for name, without in (("from", -math.inf), ("to", math.inf)):
        try:
            times.append(instant(row[name]) if row.get(name) else without)
        except ValueError as error:
            raise LabelError(f"{place}: {name}: {error}") from error
    return Label(word, row.get("alert", ""), row.get("rule", ""), row.get("target", ""), *times)


def words(alerts: Iterable[Episode], labels: Iterable[Label]) -> tuple[dict[str, Word], list[Label]]:
    """The word for each alert by its id, and the labels that none of these alerts has.

    By id; else an alert of the same target that fired at the same time, of the same rule where there is one, else of
    any: a false alarm under another name is one still.
    """
    known = [e for e in alerts if e.fired is not None]
    by_id = {e.id: e for e in known}
    by_target: dict[str, list[Episode]] = {}
    for episode in known:
        by_target.setdefault(episode.target, []).append(episode)
    found: dict[str, Word] = {}
    left = []
    for label in labels:
        if label.alert in by_id:
            found[label.alert] = label.word
            continue
        near = [e for e in (by_target.get(label.target, ()) if label.target else known) if _meets(e, label)]
        same = [e for e in near if not label.rule or label.rule in (e.rule, e.name)]
        if label.alert and not label.target:
            same = near = []
        for episode in same or (near if label.target else []):
            found.setdefault(episode.id, label.word)
        if not (same or near):
            left.append(label)
    return found, left


def _meets(episode: Episode, label: Label) -> bool:
    end = math.inf if episode.end is None else episode.end
    return (episode.fired or 0.0) <= label.to_ms and end >= label.from_ms
