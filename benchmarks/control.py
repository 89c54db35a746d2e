"""How soon a change is in force: each way to make it, at each kind of worker of a running `probestream up`.

    python benchmarks/control.py [--quick] [--json] [--kafka HOST:PORT]

The clock starts with the change's record on `control` (its own time), and stops when the worker did what it only does
with the change: a finding by the new rule, an alert hushed by the new silence, a page withheld by the new preference, a
check of the new target, a line of a new target that counts, a new target in the gateway's list. What a worker does is
asked for every 50 ms, and is in the number. Of the file, the time since it was saved is printed, too: it is looked at
every half second. The promise is two seconds.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, on_kafka, options, percentile
from streams.kafka import KafkaSettings
from streams.topics import create_topics
from tests.kit.convergence import WORKERS, World, world
from tests.kit.role import until

PROMISE_MS = 2000.0


async def once(here: World, way: str, worker: str, tag: str) -> tuple[float, float]:
    """Milliseconds from the record to the effect, and from the file's being saved; the latter 0 for other ways."""
    if worker == "alert":
        await here.fire(tag)
    showing = asyncio.create_task(here.shown(worker, tag))
    try:
        await here.ways[way](worker, tag)
        shown = await showing
    finally:
        showing.cancel()
    record = await until(lambda: here.record(worker, tag))
    saved = here.saved.get(f"{worker}/{tag}")
    return shown - record.at, shown - saved if saved is not None else 0.0


async def measure(bootstrap: str, args: Any) -> dict[str, Any]:
    again = 1 if args.quick else 5
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"c{uuid.uuid4().hex[:8]}.", partitions=2)
    await create_topics(kafka)
    result: dict[str, Any] = {"benchmark": "control", "unit": "ms", "measures": again, "promise": PROMISE_MS}
    ways = ("api", "cli", "file")
    with tempfile.TemporaryDirectory() as folder:
        async with world(kafka, Path(folder), [f"{way}{n}" for way in ways for n in range(again)]) as here:
            for way in ways:
                for worker in WORKERS:
                    pairs = [await once(here, way, worker, f"{way}{n}") for n in range(again)]
                    result[f"{worker}_by_{way}"] = told(f"{worker} by {way}", [max(0.0, a) for a, _ in pairs])
                    if way == "file":
                        result[f"{worker}_since_saved"] = told(f"{worker} since saved", [b for _, b in pairs])
    most = max(v["most"] for v in result.values() if isinstance(v, dict))
    result["kept"] = most < PROMISE_MS
    print(f"the slowest took {most} ms; the promise is {PROMISE_MS:.0f} ms")
    return result


def told(name: str, taken: list[float]) -> dict[str, int]:
    """Print and return what some measures come to."""
    found = {"p50": round(percentile(taken, 0.5)), "most": round(max(taken))}
    print(f"{name:22} {found['p50']:6} ms {found['most']:6} ms at most", flush=True)
    return found


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    with on_kafka(args) as bootstrap:
        finish(asyncio.run(measure(bootstrap, args)), as_json=args.json)


if __name__ == "__main__":
    main()
