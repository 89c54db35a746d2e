"""Weeks of traffic with its hours, from samples on a real Kafka to findings: what is usual for the hour of the week."""

from __future__ import annotations

import math

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from agents.detect import worker
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from benchmarks.reference.content import make_topics
from schemas import SampleBatch, encode
from streams import blocks
from streams.kafka import producer_options
from streams.records import Record
from streams.rules import Rule
from streams.topics import FINDINGS, SAMPLES, full_name
from tests.kit import exact, labelled
from tests.kit.reader import reading
from tests.kit.role import running, until

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
METRIC = "orders.placed"
RULES = (
    {"name": "half", "metric": METRIC, "aggregate": "ratio", "window": "1h", "operator": "<", "value": 0.6},
    {"name": "odd-for-the-hour", "anomaly": {"metric": METRIC, "seasonal": True}},
)
A_RECORD = 6  # samples, half an hour: a record may end in the middle of an hour
KNOWN = 2 * 7 * 86_400_000 + 3_600_000  # ms of history until each hour was seen twice
SERIES = {
    "usual-1": labelled.seasonal(np.random.default_rng(1)),
    "usual-2": labelled.seasonal(np.random.default_rng(2)),
    "no-morning-1": labelled.wrong_hour(np.random.default_rng(3)),
    "no-morning-2": labelled.wrong_hour(np.random.default_rng(4)),
}
TIMES = next(iter(SERIES.values())).time_ms


def batches():
    """(time of the record, batch): all series' samples of half an hour."""
    for at in range(0, len(TIMES), A_RECORD):
        span = slice(at, at + A_RECORD)
        names = [name for name in SERIES for _ in TIMES[span]]
        times = [float(t) for _ in SERIES for t in TIMES[span]]
        values = [float(v) for one in SERIES.values() for v in one.value[span]]
        good, none = [True] * len(names), [float("nan")] * len(names)
        metrics = [{"name": METRIC, "value": values}]
        yield (
            int(times[-1]),
            SampleBatch(probe="p", target=names, time=times, ok=good, latency_ms=none, metrics=metrics),
        )


async def write(kafka, some):
    producer = AIOKafkaProducer(**producer_options(kafka, "test"))
    await producer.start()
    sent = [
        await producer.send(full_name(kafka, SAMPLES), encode(batch), partition=0, timestamp_ms=at)
        for at, batch in some
    ]
    last = [await s for s in sent][-1].offset
    await producer.stop()
    return last


def detect(kafka):
    rules = tuple(Rule.model_validate(r) for r in RULES)
    return running(run, kafka=kafka, settings=DetectSettings(unknown_targets="accept"), targets=(), rules=rules)


async def folded(kafka, last):
    """The stored state, as soon as it goes to record `last`."""

    async def there():
        fold = await exact.stored(kafka, 0, RULES)
        return fold if fold.offset >= last else None

    return await until(there)


async def test_a_morning_without_orders_is_found_at_its_hour_also_across_a_restart(kafka, monkeypatch):
    """Of five weeks of traffic, only the mornings that did not come are found, and soon; a restart in the midst of one
    leaves findings and state as those of the log folded in one go, to the last bit."""
    # The clock's own records would be of today, and all that the log has after them too late.
    monkeypatch.setattr(worker, "TICK_EVERY_S", math.inf)
    own = kafka.model_copy(update={"prefix": f"{kafka.prefix}weeks.", "partitions": 1})
    await make_topics(own)  # that of samples takes the records' own times
    log = list(batches())
    (first,) = SERIES["no-morning-1"].incidents
    cut = (first.injected + 30) // A_RECORD
    async with reading(own, FINDINGS) as seen:
        last = await write(own, log[:cut])
        async with detect(own):
            assert (await folded(own, last)).offset == cut - 1
        last = await write(own, log[cut:])
        async with detect(own):
            have = await folded(own, last)
        reference, again = (exact.empty(own, 0, RULES) for _ in range(2))
        records = [Record(m.offset, m.timestamp, m.value) for m in await exact.everything(own, SAMPLES, 0)]
        wanted = {(c.name, RULES[c.rule]["name"], c.holds, c.time) for c in reference.take(records).changes}
        blocks.load(again, dict(blocks.dump(reference, everything=True)))
        assert exact.plain(have) == exact.plain(again)
        # What holds is told again after a start, with the time of the target's latest sample.
        await until(lambda: {(f.target, f.rule, f.holds, f.time) for f in seen[FINDINGS]} >= wanted)
    extra = [f for f in seen[FINDINGS] if (f.target, f.rule, f.holds, f.time) not in wanted]
    assert {f.holds for f in extra} <= {True}

    begun = {(target, rule): [] for target in SERIES for rule in ("half", "odd-for-the-hour")}
    for target, rule, holds, time in wanted:
        if holds and (rule != "half" or time >= TIMES[0] + KNOWN):
            begun[target, rule].append(time)
    for name, one in SERIES.items():
        for rule in ("half", "odd-for-the-hour"):
            if not one.incidents:
                assert begun[name, rule] == []
                continue
            (incident,), (at,) = one.incidents, begun[name, rule]
            assert TIMES[incident.injected] < at <= TIMES[incident.end - 1]
            if rule == "odd-for-the-hour":
                assert at <= TIMES[incident.visible + 1]
    # The baseline that a finding names is what is usual for the hour.
    told = next(
        f for f in seen[FINDINGS] if (f.target, f.rule) == ("no-morning-1", "half") and f.time >= KNOWN + TIMES[0]
    )
    assert told.value == pytest.approx(0.6, abs=0.05)
    week = int(np.searchsorted(TIMES, told.time)) - 7 * 288
    assert told.baseline == pytest.approx(SERIES["no-morning-1"].value[week - 3 : week + 4].mean(), rel=0.15)
