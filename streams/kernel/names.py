"""A table from names to small numbers, for compiled code: the names' bytes in one run, found by hash.

A probe lists its targets in the same order again and again, so the number after the last one found is looked at
first: most names are compared once and never hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import inlined, lean

if TYPE_CHECKING:
    from collections.abc import Sequence


class Names(NamedTuple):
    """`text[start[i]:start[i + 1]]` is name i, in UTF-8; `slots` holds i + 1 where a name's hash leads, 0 where none.

    `count[0]` names are there; the length of `slots` is a power of two, at least twice as many.
    """

    text: NDArray[np.uint8]
    start: NDArray[np.int64]
    slots: NDArray[np.int32]
    count: NDArray[np.int64]  # type: ignore[assignment]  # over the method of a tuple, which nobody calls


def fresh(names: int = 256, text: int = 8192) -> Names:
    """An empty table with room for `names` names of `text` bytes in all."""
    return Names(
        np.zeros(text, np.uint8),
        np.zeros(names + 1, np.int64),
        np.zeros(_slots_for(names), np.int32),
        np.zeros(1, np.int64),
    )


def _slots_for(names: int) -> int:
    return 1 << max(4, (2 * names).bit_length())


@inlined
def hash_of(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """FNV-1a, 64 bits, folded. Source: Fowler, Noll, Vo, "The FNV non-cryptographic hash algorithm", RFC 9923."""
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        h = (h ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
    return h ^ (h >> np.uint64(32))


@inlined
def _same(names: Names, number: int, data: NDArray[np.uint8], start: int, end: int) -> bool:
    at = names.start[number]
    if names.start[number + 1] - at != end - start:
        return False
    for i in range(end - start):
        if names.text[at + i] != data[start + i]:
            return False
    return True


@inlined
def find(names: Names, data: NDArray[np.uint8], start: int, end: int, guess: int) -> int:
    """Number of the name `data[start:end]`, -1 where there is none; `guess` is looked at first."""
    if 0 <= guess < names.count[0] and _same(names, guess, data, start, end):
        return guess
    mask = len(names.slots) - 1
    at = np.int64(hash_of(data, start, end) & np.uint64(mask))
    while names.slots[at]:
        number = names.slots[at] - 1
        if _same(names, number, data, start, end):
            return number
        at = (at + 1) & mask
    return -1


@lean
def _insert(names: Names, number: int) -> None:
    mask = len(names.slots) - 1
    at = np.int64(hash_of(names.text, names.start[number], names.start[number + 1]) & np.uint64(mask))
    while names.slots[at]:
        at = (at + 1) & mask
    names.slots[at] = number + 1


@lean
def _insert_from(names: Names, first: int) -> None:
    for number in range(first, names.count[0]):
        _insert(names, number)


def add(names: Names, name: str) -> tuple[Names, int]:
    """The table with `name` in it, which must be new, and its number; another table where this one was full."""
    return add_all(names, [name])


def add_all(names: Names, more: Sequence[str]) -> tuple[Names, int]:
    """As `add` for names that are all new, each once; the number of the first."""
    raw = [name.encode() for name in more]
    number = int(names.count[0])
    at, count = int(names.start[number]), number + len(raw)
    end = at + sum(map(len, raw))
    first = number
    if count + 1 > len(names.start) or end > len(names.text):
        grown = fresh(max(2 * len(names.start), count), max(2 * len(names.text), 2 * end))
        grown.text[: len(names.text)] = names.text
        grown.start[: len(names.start)] = names.start
        names, first = grown, 0
    names.text[at:end] = np.frombuffer(b"".join(raw), np.uint8)
    np.cumsum([at, *map(len, raw)], out=names.start[number : count + 1])
    names.count[0] = count
    _insert_from(names, first)
    return names, number


@lean
def copy_some(names: Names, keep: NDArray[np.bool_], out: Names) -> None:
    """Put the names whose entry of `keep` is true into the empty `out`, which has room, in their order."""
    for number in range(names.count[0]):
        if keep[number]:
            start, end, new = names.start[number], names.start[number + 1], out.count[0]
            at = out.start[new]
            for i in range(end - start):
                out.text[at + i] = names.text[start + i]
            out.start[new + 1] = at + end - start
            out.count[0] = new + 1
            _insert(out, new)
