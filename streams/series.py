"""The series of one partition: which target and metric a row is, and its latest values as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = 0, 1, 2, 3
STATUS = ("healthy", "degraded", "unhealthy", "unknown")

DTYPES: dict[str, np.dtype[Any]] = {
    "time": np.dtype("<f8"), "value": np.dtype("<f8"), "ok": np.dtype("u1"), "failures": np.dtype("<i4"),
    "mean": np.dtype("<f8"), "variance": np.dtype("<f8"), "seen": np.dtype("<f8"), "streak": np.dtype("<f8"),
    "z": np.dtype("<f8"), "status": np.dtype("u1"), "since": np.dtype("<f8"),
}  # fmt: skip
_START: dict[str, float] = {"time": -np.inf, "value": np.nan, "z": np.nan, "ok": 1, "status": UNKNOWN}


class Series:
    """Rows of one partition. Row numbers are dense and never change; 256 of them are a block."""

    def __init__(self, labels_of: Callable[[str], Mapping[str, str]]) -> None:
        self.labels_of = labels_of
        self.names: list[tuple[str, str]] = []
        self.main: list[int] = []
        self.metrics_of: dict[int, list[int]] = {}
        self.text: dict[int, tuple[str, str]] = {}
        self._row: dict[tuple[str, str], int] = {}
        self.columns: dict[str, NDArray[Any]] = {n: self._fresh(n, BLOCK) for n in DTYPES}

    @staticmethod
    def _fresh(name: str, size: int) -> NDArray[Any]:
        fresh: NDArray[Any] = np.full(size, _START.get(name, 0), DTYPES[name])
        return fresh

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def row(self, target: str, metric: str = "") -> int:
        """Row of `target`'s `metric` (its own checks where empty), made where there is none yet."""
        found = self._row.get((target, metric))
        return self._add(target, metric) if found is None else found

    def find(self, target: str, metric: str = "") -> int | None:
        """Row of `target`'s `metric`, or None."""
        return self._row.get((target, metric))

    def _add(self, target: str, metric: str) -> int:
        main = self.row(target) if metric else None
        row = len(self.names)
        self.names.append((target, metric))
        self.main.append(row if main is None else main)
        if main is not None:
            self.metrics_of.setdefault(main, []).append(row)
        self._row[target, metric] = row
        if row >= len(self.columns["time"]):
            for name, old in self.columns.items():
                self.columns[name] = np.concatenate([old, self._fresh(name, len(old))])
        return row


def block_of(row: int) -> int:
    """Block that a row belongs to."""
    return row // BLOCK
