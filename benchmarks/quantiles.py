"""What quantiles over windows cost: bytes a target, nanoseconds a sample and an answer, beside the `ddsketch` library.

    python benchmarks/quantiles.py [--quick] [--json]

Needs no Kafka; times are of the processor. The library keeps one sketch for all time, and over windows it would need
one a pane; so it is given easier work: one sketch, no windows, the same relative error, a loop in Python as its user
would write it. `pip install ddsketch` for that part.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options
from streams.kernel import bins, sketch
from streams.kernel.jit import njit
from streams.kernel.sketch_cells import CHUNK, FREED, ROW, USED
from streams.sketches import Sketches

BASE, HOUR, DAY = 180_000_000, 360, 8640
ROW_BYTES = 4 * ROW


@njit
def feed(s, rows, panes, values, longest):
    for i in range(len(rows)):
        sketch.add(s, rows[i], panes[i], values[i], panes[i], longest)


@njit
def ask(s, rows, head, panes, q, times):
    total = 0.0
    for _ in range(times):
        for row in rows:
            total += sketch.quantile(s, row, sketch.first_pane(head, panes), head, q)
    return total


def held(s: Sketches) -> int:
    """Bytes of the chunks in use; not what the arena has in hand."""
    c = s.arena.counters
    return int(c[USED] - c[FREED]) * CHUNK


def samples(rng: np.random.Generator, rows: int, seconds: float, hours: float, sigma: float):
    """One sample a row each `seconds`, in the order of time: rows, panes, values in turns of one sample a row."""
    who = np.arange(rows)
    median = rng.lognormal(4, 1, rows)
    for turn in range(int(hours * 3600 / seconds)):
        # Each row has its own second of the interval, as probes are spread.
        panes = BASE + ((turn + who / rows) * seconds // 10).astype(np.int64)
        yield who, panes, median * rng.lognormal(0, sigma, rows)


def steady(seconds: float, hours: float, longest: int, rows: int, sigma: float = 0.2) -> dict[str, float]:
    """Rows that get a sample each `seconds`: the mean bytes of a row at their height, and nanoseconds an add."""
    s, rng = Sketches(rows), np.random.default_rng(1)
    spent, n, peak = 0.0, 0, 0
    for who, panes, values in samples(rng, rows, seconds, hours, sigma):
        s.ensure(samples=rows)
        began = time.process_time()
        feed(s.arena, who, panes, values, longest)
        spent += time.process_time() - began
        n += rows
        peak = max(peak, held(s))
    head = BASE + int(hours * 360) - 1
    every = np.arange(rows)
    result = {"bytes": peak / rows + ROW_BYTES, "add_ns": spent / n * 1e9}
    for name, span in (("1m", 6), ("5m", 30), ("1h", HOUR), ("24h", DAY)):
        if span <= longest:
            times = max(1, 200_000 // rows // (1 if span < HOUR else 10))
            began = time.process_time()
            ask(s.arena, every, head, span, 0.95, times)
            result[f"quantile_{name}_ns"] = (time.process_time() - began) / rows / times * 1e9
    result["export_bytes"] = len(s.export(every, head, longest)) / rows
    result["export_ns"] = best(lambda: s.export(every, head, longest)) / rows
    return result


def burst(hours: float) -> dict[str, float]:
    """One row with 1000 samples a second."""
    s, rng = Sketches(1), np.random.default_rng(2)
    spent, n, peak = 0.0, 0, 0
    for pane in range(int(hours * 360)):
        for _ in range(10):
            s.ensure(samples=1000)
            values = rng.lognormal(4, 0.2, 1000)
            began = time.process_time()
            feed(s.arena, np.zeros(1000, np.int64), np.full(1000, BASE + pane), values, HOUR)
            spent += time.process_time() - began
            n += 1000
            peak = max(peak, held(s))
    head, row = BASE + int(hours * 360) - 1, np.zeros(1, np.int64)
    result = {"bytes": peak + ROW_BYTES, "add_ns": spent / n * 1e9}
    for name, span in (("1m", 6), ("5m", 30), ("1h", HOUR)):
        began = time.process_time()
        ask(s.arena, row, head, span, 0.95, 1000)
        result[f"quantile_{name}_ns"] = (time.process_time() - began) / 1000 * 1e9
    result["export_bytes"] = float(len(s.export(row, head, HOUR)))
    result["export_ns"] = best(lambda: s.export(row, head, HOUR))
    return result


def best(work: Any) -> float:
    took = []
    for _ in range(3):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took) * 1e9


def library(values: np.ndarray) -> dict[str, float] | None:
    """Nanoseconds an add and a quantile of the `ddsketch` library; None where it is not installed."""
    if find_spec("ddsketch") is None:
        return None
    from ddsketch import DDSketch  # noqa: PLC0415 - optional

    one = DDSketch(bins.ALPHA)
    them = values.tolist()
    began = time.process_time()
    for value in them:
        one.add(value)
    add = (time.process_time() - began) / len(them)
    began = time.process_time()
    for _ in range(1000):
        one.get_quantile_value(0.95)
    return {"add_ns": add * 1e9, "quantile_ns": (time.process_time() - began) / 1000 * 1e9}


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    rows = 200 if args.quick else 2000
    steady(30, 0.5, DAY, 10)  # compiles
    cases = {
        "30 s": (30, 1.5, HOUR, rows), "60 s": (60, 1.5, HOUR, rows), "10 s": (10, 1.5, HOUR, rows),
        "30 s, 24 h window": (30, 30, DAY, rows // 10), "60 s, 24 h window": (60, 30, DAY, rows // 10),
        "10 s, 24 h window": (10, 30, DAY, rows // 10),
        "30 s, 100,000 rows": (30, 1.2, HOUR, 1000 if args.quick else 100_000),
        "1 ms": (0.001, 0.2 if args.quick else 1.2, HOUR, 1),
    }  # fmt: skip
    result: dict[str, Any] = {"benchmark": "quantiles", "alpha": bins.ALPHA, "cases": {}}
    print(f"relative error {bins.ALPHA:.0%}; lognormal values, sigma 0.2")
    columns = "{:>20} {:>11} {:>9} {:>10} {:>6}  {}"
    print(
        columns.format("a sample each", "bytes a row", "exported", "export ns", "add ns", "quantile ns: 1m 5m 1h 24h")
    )
    for name, (seconds, hours, longest, n) in cases.items():
        case = {k: round(v) for k, v in (burst(hours) if n == 1 else steady(seconds, hours, longest, n)).items()}
        result["cases"][name] = case
        asked = " ".join(str(v) for k, v in case.items() if k.startswith("quantile"))
        fixed = (case[k] for k in ("bytes", "export_bytes", "export_ns", "add_ns"))
        print(columns.format(name, *fixed, asked), flush=True)
    peer = library(np.random.default_rng(3).lognormal(4, 0.2, 100_000))
    if peer is None:
        print("ddsketch is not installed: pip install ddsketch")
    else:
        ours = result["cases"]["30 s"]
        result["ddsketch"] = {k: round(v, 1) for k, v in peer.items()}
        result["ratio"] = {
            "add": round(peer["add_ns"] / ours["add_ns"], 1),
            "quantile": round(peer["quantile_ns"] / ours["quantile_1h_ns"], 1),
        }
        print(f"ddsketch: add {peer['add_ns']:.0f} ns, quantile {peer['quantile_ns']:.0f} ns; ratio {result['ratio']}")
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
