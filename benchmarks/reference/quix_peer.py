"""The reference work on Quix Streams: a stateful function over records, state in RocksDB with its changelog.

python quix_peer.py BOOTSTRAP SOURCE SINK GROUP FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from quixstreams import Application

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.reference.work import RULES, fold, fresh, samples

total = 0
head = 0


def work(record: bytes, state: Any) -> list[dict[str, Any]]:
    """Fold a record's samples; what changed becomes the records that go out."""
    global total, head
    changes = []
    for target, time, ok, latency in samples(record):
        total += 1
        head = max(head, int(time // 10_000))
        known = state.get(target) or fresh()
        for rule, value in fold(known, time, ok, latency, head):
            holds = known["holds"][rule]
            changes.append({"target": target, "rule": RULES[rule], "holds": holds, "value": value, "total": total})
        state.set(target, known)
    return changes


def main() -> None:
    bootstrap, source, sink, group, folder = sys.argv[1:]
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=folder,
        loglevel="WARNING",
    )
    out = app.topic(sink, value_serializer="json", key_serializer="bytes")
    stream = app.dataframe(app.topic(source, value_deserializer="bytes", key_deserializer="bytes"))
    stream.apply(work, stateful=True, expand=True).to_topic(out, key=lambda change: change["target"].encode())
    app.run()


if __name__ == "__main__":
    main()
