"""What becomes of samples while Kafka is away. (That they arrive is shown in tests/acceptance/test_probe.py.)"""

from __future__ import annotations

import logging

from agents.probe.observation import Observation
from agents.probe.outbox import Outbox
from streams.kafka import KafkaSettings

AWAY = KafkaSettings(bootstrap="127.0.0.1:1", partitions=4)


async def test_the_oldest_are_dropped_and_counted(caplog):
    """More than can be kept: the newest stay, the loss is counted and logged once, not each time."""
    outbox = Outbox(AWAY, "p", most=100)
    with caplog.at_level(logging.WARNING, "probestream.probe"):
        for i in range(250):
            outbox.put(f"t{i % 10}", 1000.0 + i, Observation(ok=True))
        assert (outbox.kept, outbox.dropped) == (100, 150)
        assert min(s.time for lane in outbox._lanes.values() for s in lane) >= 1000 + 50
        assert sum("were dropped" in r.message for r in caplog.records) == 1
        await outbox.close(0.2)
    assert "100 samples could not be sent before the end" in caplog.text


async def test_sequences_grow_even_where_the_clock_goes_back():
    """A target's sequence follows the clock, and grows by one where the clock does not."""
    outbox = Outbox(AWAY, "p")
    for time_ms in (5000.0, 5000.4, 4000.0, 9000.0):
        outbox.put("t", time_ms, Observation(ok=True))
    (lane,) = outbox._lanes.values()
    assert [s.sequence for s in lane] == [5000.0, 5001.0, 5002.0, 9000.0]
    await outbox.close(0.0)
