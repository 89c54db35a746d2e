"""What a partition's state takes: memory a target, time and bytes of a commit, and seconds until it is back.

    python benchmarks/state.py [--quick] [--json] [--kafka HOST:PORT] [--targets 100000]

Targets are probed every 30 s for an hour of event time, 1 % of the samples fail, with three rules over their checks.
Memory is taken in a process of its own for each case: bytes of what the arrays hold, and how much the process grew.
A commit is that of all targets at once. For the recovery the state goes to a real Kafka through detect's own store:
all of it once, and then a commit each 30 s for the last five minutes, as if nothing had been compacted since.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.detect.memory import return_what_is_freed
from agents.detect.store import Store
from benchmarks.common import finish, options
from benchmarks.reference.content import Writer
from probestream.broker.process import running
from probestream.data import DataFolder
from streams import blocks
from streams.admission import Admission
from streams.fold import Fold
from streams.kafka import KafkaSettings
from streams.kernel import panes, state
from streams.kernel.sketch_cells import CHUNK, FREED, USED
from streams.records import Record
from streams.rules import Rule
from streams.rules.compile import compile_rules
from streams.topics import create_topics
from streams.warm import warm

START, EVERY, PASSES = 1_700_000_000_000, 30_000, 120
RULES = (
    Rule(name="errors", metric="error_rate", operator=">", value=0.05, window="5m"),
    Rule(name="slow", metric="latency", aggregate="ratio", operator=">", value=2, window="1m"),
    Rule(name="p95", metric="latency", aggregate="p95", operator=">", value=400, window="1h"),
)
DAY = Rule(name="day", metric="latency", aggregate="p95", operator=">", value=400, window="24h")
SCORES = tuple(
    Rule(
        name=score, metric="latency", aggregate=score, operator=">", value=8, limit=1e9 if score == "forecast" else None
    )
    for score in ("robust", "change", "seasonal_change", "flat", "forecast")
)


def fresh(*, day: bool = False, quantiles: bool = True, scores: bool = False) -> Fold:
    """An empty state."""
    rules = (*RULES, *((DAY,) if day else ()), *(SCORES if scores else ()))
    admission = Admission(labels_of=lambda _: {}, known=lambda _: True)
    return Fold(0, rules, compile_rules(rules), admission, quantiles=quantiles)


def probe(fold: Fold, writer: Writer, turn: int) -> None:
    """One sample of each target, spread over its 30 s."""
    at = [START + turn * EVERY + k * EVERY // writer.passes for k in range(writer.passes)]
    first = turn * writer.passes
    for k in range(0, writer.passes, 20):  # as many as a fetch might bring
        fold.take([Record(first + i, t, writer.record(first + i, t)) for i, t in enumerate(at[k : k + 20], k)])


def held(fold: Fold) -> dict[str, int]:
    """Bytes of what the arrays hold, without what is in hand for more targets."""
    s, rows, targets = fold.state, int(fold.state.clock[state.ROWS]), int(fold.state.clock[state.TARGETS])
    touched = s.ring.counts[:, :rows, panes.COUNT].any(axis=1)
    pane = rows * (s.ring.part.itemsize * panes.FIELDS + s.ring.total.itemsize)
    m = fold.memory
    return {
        "panes up to 1 h": pane * int(touched[: panes.BASE[2]].sum()),
        "panes of the day": pane * int(touched[panes.BASE[2] :].sum()),
        "sums of windows": s.ring.closed[:rows].nbytes + s.ring.closed_at[:rows].nbytes,
        "sketches": held_by_sketches(fold),
        "numbers": s.series.num[:rows].nbytes + s.series.target[:rows].nbytes + s.series.metric[:rows].nbytes,
        "targets": sum(a[:targets].nbytes for a in s.targets),
        "index": s.index.key.nbytes + s.index.row.nbytes,
        "names": m.table.text.nbytes + m.table.start.nbytes + m.table.slots.nbytes + targets * 40,
        "hours of the week": (int(s.seasons.weeks[:, :rows].any(axis=1).sum()) * 5 + 4) * rows,
    }  # fmt: skip


def held_by_sketches(fold: Fold) -> int:
    """Bytes of the chunks in use, and of the rows' entries."""
    arena = fold.sketches.arena
    return int(arena.counters[USED] - arena.counters[FREED]) * CHUNK + 16 * int(fold.state.clock[state.ROWS])


def memory(targets: int, hours: float, how: dict[str, bool]) -> dict[str, float]:
    """Bytes a target, by part, and what the process grew by."""
    return_what_is_freed()  # as the role does
    warm()
    writer = Writer(targets, 500, 0.01)
    fold = fresh(**how)
    gc.collect()
    before = psutil.Process().memory_info().rss
    began, sketches = time.process_time(), [0]
    for turn in range(int(hours * PASSES)):
        probe(fold, writer, turn)
        sketches.append(held_by_sketches(fold))
    took = time.process_time() - began
    gc.collect()
    parts = {k: v / targets for k, v in held(fold).items()}
    parts["sketches"] = max(sketches) / targets  # they grow and are compacted, here all at about the same time
    grown = (psutil.Process().memory_info().rss - before) / targets
    return {**parts, "in all": sum(parts.values()), "resident": grown, "samples/s": targets * hours * PASSES / took}


def alone(targets: int, hours: float, how: dict[str, bool]) -> dict[str, float]:
    """`memory` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(memory, targets, hours, how).result()


async def stored(bootstrap: str, targets: int) -> dict[str, float]:
    """Commits of all targets, and the state read back from Kafka."""
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"state{uuid.uuid4().hex[:8]}.", partitions=1)
    await create_topics(kafka)
    warm()
    writer, fold = Writer(targets, 500, 0.01), fresh()
    table: dict[bytes, bytes] = {}
    store, dumps, writes, sizes, counts = Store(kafka, 0), [], [], [], []
    await store.open()
    for turn in range(PASSES):
        probe(fold, writer, turn)
        began = time.process_time()
        entries = list(blocks.dump(fold))
        dumps.append(time.process_time() - began)
        if turn == PASSES - 11:
            table.update(entries)
            await store.write(list(table.items()))
        elif turn > PASSES - 11:
            cpu, began = time.process_time(), time.perf_counter()
            sizes.append(await store.write(entries))
            writes.append((time.process_time() - cpu, time.perf_counter() - began))
            counts.append(len(entries))
        else:
            table.update(entries)
    await store.close()
    wanted = dict(blocks.dump(fold, everything=True))
    again = Store(kafka, 0)
    began = time.perf_counter()
    found = await again.open()
    opened = time.perf_counter() - began
    back = fresh()
    began = time.perf_counter()
    blocks.load(back, found)
    loaded = time.perf_counter() - began
    await again.close()
    if dict(blocks.dump(back, everything=True)) != wanted:
        sys.exit("the state that came back is another one")
    return {
        "commit entries": float(np.median(counts)),
        "commit bytes": float(np.median(sizes)),
        "dump, CPU s": float(np.median(dumps[-10:])),
        "write, CPU s": float(np.median([c for c, _ in writes])),
        "write, s": float(np.median([s for _, s in writes])),
        "entries read": len(found),
        "MB read": sum(map(len, found.values())) / 1e6,
        "open, s": opened,
        "load, s": loaded,
        "recovery, s": opened + loaded,
    }


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--targets", type=int, default=100_000)
    args = parser.parse_args()
    targets = min(args.targets, 20_000) if args.quick else args.targets
    cases = {
        "windows up to 1 h": {},
        "without quantiles": {"quantiles": False},
        "and a quantile over 24 h": {"day": True},
        "and every score": {"scores": True},
    }
    result: dict[str, Any] = {"benchmark": "state", "targets": targets, "memory": {}}
    for name, how in cases.items():
        case = {k: round(v) for k, v in alone(targets, 1.0, how).items()}
        result["memory"][name] = case
        print(f"{name}: {case['in all']} bytes a target, resident {case['resident']}")
        print("   " + ", ".join(f"{k} {v}" for k, v in case.items() if k not in ("in all", "resident")), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if args.kafka:
            kept = asyncio.run(stored(args.kafka, targets))
        else:
            with running(DataFolder(Path(folder) / "broker")) as bootstrap:
                kept = asyncio.run(stored(bootstrap, targets))
    result["store"] = {k: round(v, 3) for k, v in kept.items()}
    for k, v in result["store"].items():
        print(f"{k:>16} {v:>14,}")
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
