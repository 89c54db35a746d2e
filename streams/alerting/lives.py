"""The lives of this process's partitions: by key, by alert id, and by when the clock may change them."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from streams.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.life import Life


class Lives:
    """Every life, and those among them that are to be stored."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.by_partition: dict[int, dict[str, Life]] = {}
        self.by_id: dict[str, Life] = {}
        self.dirty: dict[str, Life] = {}
        self.gone: dict[str, None] = {}
        self._alarms: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._groups: dict[str, dict[str, Life]] = {}

    def __iter__(self) -> Iterator[Life]:
        for lives in self.by_partition.values():
            yield from list(lives.values())

    def become(self, by_partition: dict[int, dict[str, Life]]) -> None:
        """Hold these, and nothing else."""
        self.by_partition = by_partition
        self.by_id = {life.id: life for life in self if life.active}
        self.dirty, self.gone, self._alarms, self._due = {}, {}, [], {}
        self._groups = {}
        for life in self:
            self._take_group(life)

    def partition(self, key: str) -> int:
        """Partition of a life."""
        return partition_of(key, self.partitions)

    def get(self, key: str) -> Life | None:
        """The life with this key, if it is in a partition of ours and there is one."""
        return self.by_partition.get(self.partition(key), {}).get(key)

    def groups_of(self, rule: str) -> list[Life]:
        """The lives of a rule that are about groups."""
        return list(self._groups.get(rule, {}).values())

    def _take_group(self, life: Life) -> None:
        if life.members:
            self._groups.setdefault(life.rule, {})[life.key] = life

    def is_ours(self, key: str) -> bool:
        """Whether a life with this key is this process's."""
        return self.partition(key) in self.by_partition

    def keep(self, life: Life, due: float) -> None:
        """Take in a life that has changed: it is stored with the next flush, and looked at again at `due`."""
        lives = self.by_partition.get(self.partition(life.key))
        if lives is None:
            return  # given up meanwhile; whoever has its partition reads the same log
        lives[life.key] = self.dirty[life.key] = life
        self.gone.pop(life.key, None)
        self._take_group(life)
        if life.active:
            self.by_id[life.id] = life
        self.wake_at(life.key, due)

    def wake_at(self, key: str, due: float) -> None:
        """Look at a life at `due`, unless it is looked at earlier."""
        if due < self._due.get(key, math.inf):
            self._due[key] = due
            heapq.heappush(self._alarms, (due, key))

    def next_alarm(self) -> float:
        """When the next life's time comes; infinite where none waits."""
        while self._alarms and self._due.get(self._alarms[0][1]) != self._alarms[0][0]:
            heapq.heappop(self._alarms)  # it was given an earlier time since
        return self._alarms[0][0] if self._alarms else math.inf

    def awake(self, now: float) -> list[Life]:
        """The lives whose time has come; each is to be given a new one."""
        found = []
        while self._alarms and self._alarms[0][0] <= now:
            due, key = heapq.heappop(self._alarms)
            if self._due.get(key) != due:
                continue  # it was given an earlier time since
            del self._due[key]
            if (life := self.get(key)) is not None:
                found.append(life)
        return found

    def drop(self, life: Life) -> None:
        """Let go of a life for good: its table entry is deleted with the next flush."""
        self.by_partition.get(self.partition(life.key), {}).pop(life.key, None)
        self.dirty.pop(life.key, None)
        self._groups.get(life.rule, {}).pop(life.key, None)
        if self.by_id.get(life.id) is life:
            del self.by_id[life.id]
        self.gone[life.key] = None
