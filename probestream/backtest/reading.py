"""Samples into findings, a partition at a time, in as many processes as there are cores.

Each partition is folded for itself, so what is found does not depend on how many processes there are, nor on which
of them is quicker.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.codec import HEADER_BYTES
from streams.kernel import state
from streams.replay import Detection, Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from probestream.backtest.log import Log, Part
    from streams.records import Record
    from streams.replay import Found, Terms

_PIECE = 20_000


class ReadError(RuntimeError):
    """A process that read samples ended before its work was done."""


@dataclass(slots=True)
class Detected:
    """What one set of rules found: `targets` had samples, `rules` counts those that each rule looks at."""

    found: list[Found] = field(default_factory=list)
    refused: dict[str, Refusals] = field(default_factory=dict)
    targets: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, other: Detected) -> None:
        """Take in what was found in other partitions."""
        self.found += other.found
        self.targets |= other.targets
        self.metrics |= other.metrics
        self.rules += other.rules
        for reason, more in other.refused.items():
            there = self.refused.get(reason, Refusals(0, more.first))
            self.refused[reason] = Refusals(there.count + more.count, min(there.first, more.first))


@dataclass(frozen=True, slots=True)
class _Task:
    log: Log
    parts: tuple[Part, ...]
    variants: tuple[Terms, ...]


def detect(
    log: Log, parts: Sequence[Part], variants: Sequence[Terms], jobs: int, told: Callable[[int, int], None]
) -> list[Detected]:
    """What each of `variants` finds in `parts`, each read once; `told` is called with records and samples read.

    Raises what reading raises, and ReadError.
    """
    wanted = sorted((p for p in parts if p.end > p.first), key=lambda p: p.first - p.end)
    shares: list[list[Part]] = [[] for _ in range(max(1, min(jobs, len(wanted))))]
    for part in wanted:  # the largest first, each to whoever has least
        min(shares, key=lambda s: sum(p.end - p.first for p in s)).append(part)
    tasks = [_Task(log, tuple(share), tuple(variants)) for share in shares]
    results = [Detected() for _ in variants]
    for message in _inline(tasks[0]) if len(tasks) == 1 else _parallel(tasks):
        if message[0] == "read":
            told(message[1], message[2])
        else:
            results[message[1]].add(message[2])
    for result in results:
        result.found.sort(key=lambda f: f[:4])
    return results


def _inline(task: _Task) -> Iterator[tuple[Any, ...]]:
    """(read, records, samples), again and again, and (found, variant, Detected)."""
    for part in task.parts:
        detections = [Detection(terms) for terms in task.variants]
        for records in task.log.read(part):
            for i, detection in enumerate(detections):
                yield from _told(i, detection.feed(part.partition, records))
            yield "read", len(records), sum(map(samples_in, records))
        for i, detection in enumerate(detections):
            yield from _told(i, detection.advance(part.partition, math.inf))
            yield "found", i, _summary(part.partition, detection)


def _told(number: int, found: list[Found]) -> Iterator[tuple[str, int, Detected]]:
    for at in range(0, len(found), _PIECE):
        yield "found", number, Detected(found=found[at : at + _PIECE])


def _summary(partition: int, detection: Detection) -> Detected:
    fold = detection.fold(partition)
    targets, rules = detection.looked_at(partition)
    rows = int(fold.state.clock[state.ROWS])
    metrics = {fold.metric_names[m] for m in np.unique(fold.state.series.metric[:rows]).tolist() if m >= 0}
    return Detected(refused=dict(detection.refusals), targets=targets, rules=rules, metrics=metrics)


def _parallel(tasks: Sequence[_Task]) -> Iterator[tuple[Any, ...]]:
    context = multiprocessing.get_context("spawn")
    pipes: list[Any] = []
    processes = []
    for task in tasks:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(task, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        while pipes:
            ready: list[Any] = wait(pipes)
            for pipe in ready:
                try:
                    message = pipe.recv()
                except EOFError:
                    raise ReadError("a process that read samples died; was there too little memory?") from None
                if isinstance(message, Exception):
                    raise message
                if message is None:
                    pipes.remove(pipe)
                else:
                    yield message
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _work(task: _Task, pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        for message in _inline(task):
            pipe.send(message)
        pipe.send(None)
    except Exception as error:
        try:
            pipe.send(error)
        except Exception:  # one that cannot be sent
            pipe.send(ReadError(f"{type(error).__name__}: {error}"))


def samples_in(record: Record) -> int:
    """How many samples a record says it has: for counting, so what cannot be read is none."""
    value = record.value or b""
    length, at = _long(value, HEADER_BYTES)
    count, _ = _long(value, at + length) if length >= 0 else (0, 0)
    return abs(count)


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Avro's zigzag integer at `at`, and where it ends; 0 where there is none."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 128:
            return (value >> 1) ^ -(value & 1), at
    return 0, at
