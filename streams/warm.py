"""Compiles what is compiled at its first use, so that no sample has to wait for it: `python -m streams.warm`."""

from __future__ import annotations

import time

from schemas import SampleBatch, encode
from streams import blocks, seeing
from streams.admission import Admission
from streams.fold import Fold
from streams.kernel import judge, panes, state
from streams.records import Record
from streams.rules import Rule
from streams.rules.compile import compile_rules


def warm() -> float:
    """Compile everything that detection needs, or load it from the disk; how many seconds that took."""
    began = time.perf_counter()
    rules = (Rule(name="warm", metric="latency", aggregate="p95", window="5m", operator=">", value=1),)
    admission = Admission(labels_of=lambda _: {}, known=lambda _: True)

    def fold() -> Fold:
        return Fold(0, rules, compile_rules(rules), admission)

    batch = SampleBatch(
        probe="warm", target=["a", "b"], time=[0.0, 1.0], ok=[True, False], latency_ms=[1.0, 2.0], sequence=[1.0, 1.0],
        metrics=[{"name": "m", "value": [1.0, 2.0]}], details=[{"row": 1, "status": "s", "message": "m"}],
    )  # fmt: skip
    one = fold()
    one.take([Record(0, 0, encode(batch))])
    blocks.load(fold(), dict(blocks.dump(one, everything=True)))
    one.take([Record(1, 3_600_000 * 24 * 10, b"")])
    seeing.held(one)
    seeing.see(one, "a")
    head = int(one.state.clock[state.HEAD])
    panes.sums(one.state.ring, 0, 0, 30, head)
    judge.normal(one.state, 0)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(f"compiled in {warm():.1f} s")  # noqa: T201 - a command
