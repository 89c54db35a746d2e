"""Compiles what is compiled at its first use, so that no sample has to wait for it: `python -m streams.warm`."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np

from schemas import SampleBatch, encode
from streams import blocks, seeing
from streams.admission import Admission
from streams.fold import Fold
from streams.kernel import batches, judge, panes, state
from streams.kernel.jit import ByText
from streams.records import Record
from streams.rules import Rule
from streams.rules.compile import compile_rules

CHILD = "--child"  # ends with the process that started it
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


def mark() -> Path:
    """A file that is there once everything is compiled, for this text, Python and kind of processor."""
    config: Any = numba.config  # its entries are made as it is read, so that no stub has them
    folder = Path(config.CACHE_DIR) / ByText.get_suitable_cache_subpath("")
    return folder / f"complete-{sys.implementation.cache_tag}-{platform.machine()}"


def warm() -> float:
    """Compile everything that detection needs, or load it from the disk; how many seconds that took."""
    began = time.perf_counter()
    rules = (Rule(name="warm", metric="latency", aggregate="p95", window="5m", operator=">", value=1),)
    admission = Admission(labels_of=lambda _: {}, known=lambda _: True)

    def fold() -> Fold:
        return Fold(0, rules, compile_rules(rules), admission)

    batch = SampleBatch(
        probe="warm", target=["a", "b"], time=[_HOUR_MS, _HOUR_MS + 1.0], ok=[True, False], latency_ms=[1.0, 2.0],
        sequence=[1.0, 1.0], metrics=[{"name": "m", "value": [1.0, 2.0]}],
        details=[{"row": 1, "status": "s", "message": "m"}],
    )  # fmt: skip
    _fetch_nothing()
    one = fold()
    one.expect(["b"])
    one.take([Record(0, _HOUR_MS, encode(batch))])
    one.reserve(2 * len(one.state.series.num), 2 * len(one.state.targets.num))
    blocks.load(fold(), dict(blocks.dump(one, everything=True)))
    seeing.held(one)
    seeing.see(one, "a")
    seeing.is_known(one, 0, 0)
    head = int(one.state.clock[state.HEAD])
    panes.sums(one.state.ring, 0, 0, 30, head)
    judge.normal(one.state, 0)
    one.take([Record(1, 10 * _DAY_MS, b"")])  # so much later that a target is forgotten
    with contextlib.suppress(OSError):  # nowhere to write: the next start compiles again
        mark().parent.mkdir(parents=True, exist_ok=True)
        mark().touch()
    return time.perf_counter() - began


def _fetch_nothing() -> None:
    """Read a fetch without a batch."""
    found = np.empty((1, 10), np.int64)
    data = np.frombuffer(b"\0", np.uint8)
    batches.heads(data, True, batches.CRC_TABLES, found)
    none = found[:0]
    batches.read(data, none, batches.places(none))


def _end_with_parent() -> None:
    """End as soon as nobody holds the other end of what we read: whoever started us has gone."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    if CHILD in sys.argv:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    print(f"compiled in {warm():.1f} s")  # noqa: T201 - a command
