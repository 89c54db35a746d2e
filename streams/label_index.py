"""Finds whose matchers some labels pass, without asking each: by the value that one matcher of theirs asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from streams.labels import matches, parse

T = TypeVar("T")


class LabelIndex(Generic[T]):
    """Things by id, each with matchers that must all pass."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[tuple[str, ...], T]] = {}
        self._by_value: dict[tuple[str, str], set[str]] = {}
        self._others: set[str] = set()

    def put(self, key: str, matchers: tuple[str, ...], value: T) -> None:
        """Add or replace."""
        self.drop(key)
        self._held[key] = (matchers, value)
        self._place(matchers).add(key)

    def drop(self, key: str) -> None:
        """Take out what is there, if anything is."""
        if (held := self._held.pop(key, None)) is not None:
            self._place(held[0]).discard(key)

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Id and thing of each, in the order in which they came."""
        for key, (_, value) in self._held.items():
            yield key, value

    def _place(self, matchers: tuple[str, ...]) -> set[str]:
        asked = next((m for m in map(parse, matchers) if m.operator == "=" and m.value), None)
        return self._others if asked is None else self._by_value.setdefault((asked.name, asked.value), set())

    def hits(self, labels: Mapping[str, str]) -> Iterator[tuple[str, T]]:
        """Id and thing of each whose matchers `labels` pass."""
        keys = set(self._others).union(*(self._by_value.get(item, ()) for item in labels.items()))
        for key in keys:
            matchers, value = self._held[key]
            if matches(matchers, labels):
                yield key, value
