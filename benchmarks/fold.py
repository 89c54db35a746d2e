"""Samples a second of the fold alone, in memory, without Kafka; plain Python doing the reference work beside it.

    python benchmarks/fold.py [--quick] [--json]

What is left between these numbers and those of detect.py is Kafka's, Faust's, commits and health. Both must tell the
same changes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options
from benchmarks.reference import work
from benchmarks.reference.content import Writer, _records
from streams.admission import Admission
from streams.fold import Fold
from streams.records import Record
from streams.rules import Rule
from streams.rules.compile import compile_rules
from streams.warm import warm

RULES = (
    Rule(name="errors", metric="error_rate", window=300, operator=">", value=0.05),
    Rule(name="slow", metric="latency", aggregate="ratio", window=60, operator=">", value=2),
    Rule(name="odd", metric="latency", aggregate="zscore", operator=">", value=4),
)
PIECE_BYTES = 1 << 20


def ours(records: list[Record], *, quantiles: bool) -> tuple[float, list[tuple[str, str, bool]]]:
    """Processor seconds for `records`, and the changes."""
    everybody = Admission(labels_of=lambda name: {"target": name}, known=lambda _: True)
    fold = Fold(0, RULES, compile_rules(RULES), everybody, quantiles=quantiles)
    step = max(1, PIECE_BYTES // max(len(r.value or b"") for r in records[:30]))
    told, began = [], time.process_time()
    for i in range(0, len(records), step):
        told += fold.take(records[i : i + step]).changes
    seconds = time.process_time() - began
    return seconds, [(fold.name_of(c.target), RULES[c.rule].name, c.holds) for c in told]


def peer(records: list[Record]) -> tuple[float, list[tuple[str, str, bool]]]:
    """As `ours`, by benchmarks/reference/work.py."""
    states: dict[str, Any] = {}
    told, began = [], time.process_time()
    for record in records:
        head = record.time // 10_000
        for target, at, ok, latency in work.samples(record.value or b""):
            state = states.get(target) or states.setdefault(target, work.fresh())
            for rule, _ in work.fold(state, at, ok, latency, head):
                told.append((target, work.RULES[rule], state["holds"][rule]))
    return time.process_time() - began, told


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    warm()
    rates: dict[str, Any] = {}
    for batch, samples in ((500, 4_000_000), (50, 2_000_000), (1, 400_000)):
        count = samples // (10 if args.quick else 1)
        records = [Record(i, at, value) for i, (at, _, value) in enumerate(_records(Writer(1000, batch, 0.01), count))]
        bare, _ = ours(records, quantiles=False)
        full, _ = ours(records, quantiles=True)
        some = records[: max(1, 100_000 // batch)]
        theirs, wanted = peer(some)
        if ours(some, quantiles=False)[1] != wanted:
            sys.exit(f"the changes differ at {batch} samples a record")
        mine, slow = count / bare, len(some) * batch / theirs
        rates[str(batch)] = {
            "ours": round(mine), "with_quantiles": round(count / full), "plain_python": round(slow),
            "ratio": round(mine / slow, 1),
        }  # fmt: skip
        print(
            f"{batch:4} a record: {mine:12,.0f} samples/s, {count / full:12,.0f} with quantiles; "
            f"plain Python {slow:,.0f}"
        )
    finish({"benchmark": "fold", "unit": "samples/s of one core", "rates": rates}, as_json=args.json)


if __name__ == "__main__":
    main()
