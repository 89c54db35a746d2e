"""The reference work on Faust's own windowed tables, as its documentation shows them, event by event.

    python faust_peer.py BOOTSTRAP SOURCE SINK GROUP FOLDER

The windows tumble: hopping ones, which the work asks for, would write 396 table entries a sample.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import faust

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.reference.work import RULES, baseline, judge, learn, samples

bootstrap, source, sink, group, folder = sys.argv[1:]
app = faust.App(
    group,
    broker=f"kafka://{bootstrap}",
    store="memory://",
    datadir=folder,
    topic_partitions=1,
    consumer_auto_offset_reset="earliest",
    value_serializer="json",
    web_enabled=False,
)
incoming = app.topic(source, value_type=bytes, value_serializer="raw")
changes = app.topic(sink, value_serializer="json", key_serializer="raw")
windows = [
    app.Table(f"window-{length}", default=lambda: [0, 0, 0.0], partitions=1).tumbling(length, expires=3600.0)
    for length in (60.0, 300.0, 3600.0)
]
learnt = app.Table("baseline", default=baseline, partitions=1)


@app.agent(incoming)
async def work(stream: Any) -> None:
    total = 0
    async for record in stream:
        for target, _, ok, latency in samples(record):
            total += 1
            sums = []
            for table in windows:
                count, errors, summed = table[target].current()
                sums.append([count + 1, errors + (not ok), summed + latency])
                table[target] = sums[-1]
            state = learnt[target]
            z = learn(state, latency) if ok else float("nan")
            minute, five, _hour = sums
            for rule, value in judge(state, five[1] / five[0], minute[2] / minute[0], z):
                change = {"target": target, "rule": RULES[rule], "holds": state["holds"][rule], "value": value}
                await changes.send(key=target.encode(), value=json.dumps({**change, "total": total}).encode())
            learnt[target] = state


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--without-web", "-l", "warn"]
    app.main()
