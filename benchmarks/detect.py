"""Samples a second of detection, with Kafka Streams, Quix Streams and a Faust windowed table beside it.

    python benchmarks/detect.py [--quick] [--json] [--kafka HOST:PORT] [--install-peers] [--quix PYTHON]
                                [--engines ours,kafka_streams] [--targets 1000] [--batches 500,1] [--errors 0.01]

Each engine, a process of its own, reads the same topic of one partition from the same broker and does the same work:
per target, windows of 1 min, 5 min and 1 h in 10 s panes (count, errors, latency sum), an exponentially weighted
baseline that does not learn from anomalies, three rules, a record out at each change, state with a changelog.
Kafka Streams runs twice: written for speed (Avro read by hand, bytes as state, in memory), and with the libraries'
own parts (Avro's generic reader, a serde, RocksDB). Ours is the detect role itself, which besides tells health and
rollups and refuses what is not in order.

The clock is the broker's: from the record that tells of one sentinel target to that of a later one, so start-up,
recovery and the first sight of each target are not counted. The run fails where an engine has not counted each
sample that was written. `pinned`: the engine on one core, the broker on another.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options
from benchmarks.reference import engines as machines
from benchmarks.reference.content import Content, write
from benchmarks.reference.timing import Span, WrongError, differing, measure, sink_of
from probestream.broker.process import running
from probestream.data import DataFolder
from streams.kafka import KafkaSettings

SAMPLES = {500: 40_000_000, 50: 24_000_000, 1: 6_000_000}
SPAN, QUICK = Span(warm=3.0, measure=8.0, first_sight=40.0), Span(warm=1.0, measure=3.0, first_sight=25.0)
NAMES = ("ours", "kafka_streams", "kafka_streams_library", "quix", "faust_table")


async def compare(bootstrap: str, args: Any, some: list[machines.Engine], cores: tuple[set[int], set[int]]) -> Any:
    """Every engine at every number of targets and size of batch: rates by engine, targets, batch."""
    rates: dict[str, Any] = {engine.name: {} for engine in some}
    for targets in args.targets:
        for batch in args.batches:
            kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}.", partitions=1)
            content = await write(kafka, targets, batch, SAMPLES[batch] // (4 if args.quick else 1), args.errors)
            print(f"{targets} targets, {batch} a record: {content.samples:,} samples in {content.seconds:.0f} s")
            found: dict[str, Any] = {}
            for engine in some:
                rates[engine.name].setdefault(str(targets), {})[str(batch)] = await one(
                    engine, kafka, content, cores[0], args, found
                )
    return rates


async def one(
    engine: machines.Engine, kafka: KafkaSettings, content: Content, cores: set[int], args: Any, found: dict[str, Any]
) -> float | None:
    """Samples a second of one engine over one topic; prints how it went."""
    quickly = NAMES[:2] if content.targets > 1000 else [n for n in NAMES if n != "kafka_streams_library"]
    if engine.missing or (args.quick and engine.name not in quickly):
        return None
    with machines.folder() as name:
        group = f"{kafka.prefix}{engine.name}"
        run = machines.Run(kafka, content.topic, sink_of(engine, kafka), group, Path(name))
        speed = await measure(engine, run, content, cores, QUICK if args.quick else SPAN)
    found[engine.name] = speed
    note = "" if speed.warm else "   (not every target seen before the clock started)"
    if engine.name != "ours" and "ours" in found:
        differ, told = differing(found["ours"].seen, speed.seen)
        note += f"   changes: {differ} of {told} differ from ours"
    print(f"  {engine.name:22} {speed.rate:12,.0f} samples/s over {speed.seconds:.1f} s{note}", flush=True)
    return round(speed.rate)


def ratios(rates: dict[str, Any]) -> dict[str, Any]:
    """Ours to each peer: by targets, batch, peer."""
    out: dict[str, Any] = {}
    for targets, by_batch in rates.get("ours", {}).items():
        for batch, rate in by_batch.items():
            peers = {
                name: round(rate / theirs[targets][batch], 2)
                for name, theirs in rates.items()
                if name != "ours" and rate and theirs.get(targets, {}).get(batch)
            }
            out.setdefault(targets, {})[batch] = peers
    return out


def broker_bound(cores: set[int]) -> None:
    """Bind the embedded broker, a child of this process, to `cores`."""
    for child in psutil.Process().children():
        if "java" in child.name():
            machines.bind(child.pid, cores)


async def both(bootstrap: str, args: Any, some: list[machines.Engine]) -> dict[str, Any]:
    """The comparison pinned, and then not."""
    every = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    result: dict[str, Any] = {"benchmark": "detect", "unit": "samples/s by targets and samples a record"}
    result["errors"] = args.errors
    for missing in dict.fromkeys(engine.missing for engine in some if engine.missing):
        print(missing)
    if len(every) > 1:
        print("pinned: each engine on one core, the broker on another")
        first, *others = sorted(every)
        os.sched_setaffinity(0, others[:1])
        broker_bound(set(others[:1]))
        rates = await compare(bootstrap, args, some, ({first}, set(others[:1])))
        os.sched_setaffinity(0, every)
        broker_bound(every)
        result |= {"pinned": True, **{n: rates.get(n) for n in NAMES}, "ratio": ratios(rates)}
        if args.quick:
            return result
    print("not pinned")
    rates = await compare(bootstrap, args, [e for e in some if e.name in NAMES[:2]], (every, every))
    unpinned = {**rates, "ratio": ratios(rates)}
    return {**result, "unpinned": unpinned} if "pinned" in result else {"pinned": False, **result, **unpinned}


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--install-peers", action="store_true", help="install Quix Streams into a temporary folder")
    parser.add_argument("--quix", metavar="PYTHON", help="an interpreter that has quixstreams and fastavro")
    parser.add_argument("--engines", default=",".join(NAMES), help="which to run; all where absent")
    parser.add_argument("--targets", default="1000,100000", help="how many, separated by commas")
    parser.add_argument("--errors", type=float, default=0.01, help="share of failed samples")
    parser.add_argument("--batches", help="samples a record: 500, 50, 1; all where absent, 500 with --quick")
    args = parser.parse_args()
    args.targets = [int(t) for t in args.targets.split(",")]
    args.batches = [int(b) for b in (args.batches or ("500" if args.quick else "500,50,1")).split(",")]
    wanted = args.engines.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        some = [machines.ours()]
        if any(n.startswith("kafka_streams") for n in wanted):
            some += machines.kafka_streams(folder / "kafka_streams")
        if "quix" in wanted:
            some.append(machines.quix(args.quix, folder / "quix", install=args.install_peers))
        some.append(machines.faust_table())
        some = [engine for engine in some if engine.name in wanted]
        try:
            if args.kafka:
                result = asyncio.run(both(args.kafka, args, some))
            else:
                with running(DataFolder(folder / "broker")) as bootstrap:
                    result = asyncio.run(both(bootstrap, args, some))
        except WrongError as error:
            sys.exit(str(error))
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
