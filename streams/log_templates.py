"""Templates of log lines: the constant words of lines that one statement in a program wrote.

Source: P. He, J. Zhu, Z. Zheng, M. R. Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017.
The tree here has the depth 3 of the paper: lines go by their number of words, then by their first word, to a short
list of templates, and the most alike takes the line. Beyond the paper, the number of templates is bounded: the one
that was not seen for longest makes room.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streams.log_text import level_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ANY = "<*>"
MOST_WORDS = 80
"""Words of a line that are looked at."""
_MOST_FIRST_WORDS = 64  # the paper's maxChild: with more, first words are variables
_MOST_REMEMBERED = 256
_THRASHING = 10  # times as many lines as templates: a table that forgets sooner says nothing about what is new
_EXAMPLE_CHARACTERS = 300
_TEMPLATE_CHARACTERS = 500


@dataclass(slots=True, eq=False)
class Template:
    """One kind of line. `id` is its place among its target's, from 1; it goes to another when it is forgotten."""

    id: int
    words: list[str]
    level: str = ""
    example: str = ""
    count: int = 0
    last: int = 0
    known: bool = True

    @property
    def text(self) -> str:
        """The template, ``<*>`` where lines differ."""
        return " ".join(self.words)[:_TEMPLATE_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Match:
    """What a line is: its template, whether that is new, the level that stands in it and its classes.

    `overflow` is a template that was made by forgetting one seen a moment ago: there are more than are kept, and
    whether this one is new nobody knows.
    """

    template: Template
    new: bool
    overflow: bool
    level: str
    classes: tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    """What is known of a masked line; true of every line with the same text."""

    template: Template
    level: str
    classes: tuple[str, ...]


@dataclass(slots=True)
class Templates:
    """The templates of one target.

    A line belongs to the template that has the same words at a share of at least `similarity` of its places; where
    both differ otherwise, the template gets ``<*>``. At most `most` are kept. `mask` replaces what varies anyway.
    `classify` gives the classes of a masked line.
    """

    mask: Callable[[str], str]
    classify: Callable[[str], tuple[str, ...]]
    most: int = 200
    similarity: float = 0.6
    changed: bool = False
    by_id: dict[int, Template] = field(default_factory=dict)
    _leaves: dict[tuple[int, str], list[Template]] = field(default_factory=dict)
    _first_words: dict[int, set[str]] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _free: list[int] = field(default_factory=list)
    _clock: int = 0

    def add(self, line: str) -> Match:
        """Count a line without secrets under its template, which is made where there is none."""
        masked = self.mask(line)
        self._clock += 1
        seen = self._seen.get(masked)
        if seen is not None and seen.template.known:
            template = seen.template
            template.count += 1
            template.last = self._clock
            return Match(template, False, False, seen.level, seen.classes)
        words = masked.split(None, MOST_WORDS)
        if len(words) > MOST_WORDS:
            words[-1] = "…"
        key = self._leaf(words)
        found = self._most_alike(self._leaves.get(key, ()), words)
        new = found is None
        overflow = False
        level = level_in(masked)
        if found is None:
            overflow = len(self.by_id) >= self.most and self._forget_one()
            found = self._make(key, words, line, level)
        else:
            self._generalize(found, words)
        found.count += 1
        found.last = self._clock
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.clear()
        entry = self._seen[masked] = _Seen(found, level, self.classify(masked))
        return Match(found, new and not overflow, overflow, level, entry.classes)

    def _leaf(self, words: list[str]) -> tuple[int, str]:
        first = words[0] if words else ""
        if "<" in first:  # masked: the next lines' first words differ
            first = ANY
        known = self._first_words.setdefault(len(words), set())
        if first not in known:
            if len(known) >= _MOST_FIRST_WORDS:
                first = ANY
            known.add(first)
        return len(words), first

    def _most_alike(self, candidates: Iterable[Template], words: list[str]) -> Template | None:
        best, most_same = None, -1
        for template in candidates:
            same = sum(map(str.__eq__, template.words, words))
            if same > most_same:
                best, most_same = template, same
        return best if best is not None and most_same >= self.similarity * len(words) else None

    def _generalize(self, template: Template, words: list[str]) -> None:
        merged = [a if a == b else ANY for a, b in zip(template.words, words, strict=True)]
        if merged != template.words:
            template.words = merged
            self.changed = True

    def _make(self, key: tuple[int, str], words: list[str], line: str, level: str) -> Template:
        number = self._free.pop() if self._free else len(self.by_id) + 1
        template = Template(number, words, level, line[:_EXAMPLE_CHARACTERS])
        self.by_id[number] = template
        self._leaves.setdefault(key, []).append(template)
        self.changed = True
        return template

    def _forget_one(self) -> bool:
        """Make room; whether what is forgotten was seen a moment ago."""
        template = min(self.by_id.values(), key=lambda t: t.last)
        template.known = False
        del self.by_id[template.id]
        self._free.append(template.id)
        for key, leaf in self._leaves.items():
            if template in leaf:
                leaf.remove(template)
                if not leaf:
                    del self._leaves[key]
                    self._first_words[key[0]].discard(key[1])
                break
        return self._clock - template.last < _THRASHING * self.most

    def dump(self) -> list[list[Any]]:
        """The templates as plain values, for `load`."""
        return [[t.id, t.words, t.level, t.example, t.count, t.last] for t in self.by_id.values()]

    def load(self, values: Iterable[list[Any]]) -> None:
        """Know what `dump` gave; of more than `most`, those seen last."""
        kept = sorted(values, key=lambda v: int(v[5]))[-self.most :]
        for number, words, level, example, count, last in kept:
            template = Template(int(number), [str(w) for w in words], level, example, int(count), int(last))
            self.by_id[template.id] = template
            self._leaves.setdefault(self._leaf(template.words), []).append(template)
            self._clock = max(self._clock, template.last)
        highest = max(self.by_id, default=0)
        self._free = [n for n in range(highest, 0, -1) if n not in self.by_id]
