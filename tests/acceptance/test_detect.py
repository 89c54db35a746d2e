"""The detect role on real Kafka."""

from __future__ import annotations

import asyncio
import random
import struct
from itertools import groupby

import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.transport.consumer import Consumer

from agents.detect import app as detect_app
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from benchmarks.reference.content import make_topics
from schemas import SampleBatch, encode
from streams.kafka import consumer_options, producer_options
from streams.partition import partition_of
from streams.rules import Rule
from streams.topics import DEAD_LETTERS, FINDINGS, HEALTH, ROLLUPS, SAMPLES, full_name
from streams.units import now_ms
from tests.kit import exact
from tests.kit.process import role_process
from tests.kit.reader import reading
from tests.kit.role import running, until
from tests.kit.samples import Feed

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
TARGETS = tuple(Target(name=n, http={"url": "http://127.0.0.1:1"}) for n in ("shop", "blog"))
DICTS = ({"name": "down", "metric": "consecutive_failures", "operator": ">=", "value": 2, "severity": "critical"},)
RULES = tuple(Rule.model_validate(r) for r in DICTS)


@pytest.fixture
def feed(kafka, producer):
    return Feed(kafka, producer)


def role(kafka, **settings):
    return running(
        run, kafka=kafka, settings=DetectSettings(commit_every=0.1, **settings), targets=TARGETS, rules=RULES
    )


async def test_rule_that_begins_and_ceases_is_a_finding_each(kafka, feed):
    """Two failures and a success are one finding that holds and one that does not, with the reason in them."""
    async with reading(kafka, FINDINGS, HEALTH) as seen, role(kafka):
        offsets = await feed.samples("shop", True, False, False, False, True)
        found = await seen.wait(FINDINGS, 2)
        assert [(f.target, f.rule, f.holds, f.value) for f in found] == [
            ("shop", "down", True, 2.0),
            ("shop", "down", False, 0.0),
        ]
        assert (found[0].source_partition, found[0].source_offset) == (partition_of("shop", 2), offsets[2])
        last = (await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 5))[-1]
        assert (last.status, last.errors_1h, last.rules) == ("healthy", 3, [])


async def test_each_status_that_lasts_is_told(kafka, feed):
    """Healthy, degraded by a failure, unhealthy by a critical rule, and back: each is told at the next commit."""
    async with reading(kafka, HEALTH) as seen, role(kafka):
        for ok, status in ((True, "healthy"), (False, "degraded"), (False, "unhealthy"), (True, "healthy")):
            await feed.samples("shop", ok)
            told = (await seen.wait(HEALTH, lambda h, status=status: h and h[-1].status == status))[-1]
            assert told.rules == (["down"] if status == "unhealthy" else [])
        assert [h.status for h in seen[HEALTH]] == ["healthy", "degraded", "unhealthy", "healthy"]


async def test_state_survives_a_restart(kafka, feed):
    """A restart goes on from the state: counts go on, no finding is told twice, none is forgotten."""
    async with reading(kafka, FINDINGS, HEALTH) as seen:
        async with role(kafka):
            offsets = await feed.samples("shop", False, False)
            await seen.wait(FINDINGS, 1)
            # What is told is not stored yet, and a stop does not wait for that for ever.
            await exact.reaches(kafka, {partition_of("shop", 2): offsets[-1]}, DICTS)
        async with role(kafka, health_every=0):
            await feed.samples("shop", False, True)
            await seen.wait(FINDINGS, 2)
            last = (await seen.wait(HEALTH, lambda h: len(h) > 1 and h[-1].status == "healthy"))[-1]
            assert (last.count_1h, last.errors_1h) == (4, 3)
        assert [f.holds for f in seen[FINDINGS]] == [True, False]


async def test_the_group_follows_the_state_without_an_account_of_gaps(kafka, feed, monkeypatch):
    """A bundle has one record's place: what it passes over is no gap, and what was committed reaches the last record."""
    accounts, keep = [], Consumer._add_gap

    async def noting(consumer, tp, first, last):
        accounts.append(tp.topic)
        await keep(consumer, tp, first, last)

    monkeypatch.setattr(Consumer, "_add_gap", noting)
    place = TopicPartition(full_name(kafka, SAMPLES), partition_of("shop", 2))
    options = consumer_options(kafka, "test-offsets", "detect")
    async with reading(kafka, HEALTH) as seen, role(kafka), AIOKafkaConsumer(**options) as group:
        for count in (100, 200, 300):
            sent = await asyncio.gather(*(feed.samples("shop", True) for _ in range(100)))
            await seen.wait(HEALTH, lambda h, count=count: h and h[-1].count_1h == count)
            last = max(offset for (offset,) in sent)

            async def reached(last=last):
                return (await group.committed(place) or 0) > last

            await until(reached)
    assert place.topic not in accounts


async def test_bad_input_is_a_dead_letter_and_the_rest_goes_on(kafka, feed):
    """No Avro, unknown schema, future, past, unknown, stray and oversized: each with its reason, whole, and counted."""
    home, away = partition_of("shop", 2), 1 - partition_of("shop", 2)
    now = now_ms()
    good = {"probe": "p", "ok": [True], "latency_ms": [1.0]}
    async with reading(kafka, DEAD_LETTERS, HEALTH) as seen, role(kafka, max_batch=3, health_every=0):
        await feed.raw(b"not avro at all", home)
        await feed.raw(None, home)
        await feed.raw(b"\0" + struct.pack(">I", 4711) + b"x", home)
        await feed.raw(encode(SampleBatch(**good, target=["shop"], time=[now]))[:-3], home)
        await feed.batch(SampleBatch(**good, target=["shop"], time=[now + 3_600_000]))
        await feed.batch(SampleBatch(**good, target=["shop"], time=[now - 86_400_000]))
        await feed.batch(SampleBatch(**good, target=["nobody"], time=[now]))
        await feed.batch(SampleBatch(**good, target=["shop"], time=[now]), partition=away)
        await feed.batch(
            SampleBatch(probe="p", target=["shop"] * 4, time=[now] * 4, ok=[True] * 4, latency_ms=[1.0] * 4)
        )
        await feed.batch(SampleBatch(probe="p", target=["shop", "shop"], time=[now], ok=[True], latency_ms=[1.0]))
        await feed.batch(
            SampleBatch(probe="p", target=["shop"] * 2, time=[now] * 2, ok=[True] * 2, latency_ms=[-5.0, 7.0])
        )
        letters = await seen.wait(DEAD_LETTERS, 11)
        assert sorted(x.reason for x in letters) == sorted(
            ["not_avro"] * 3 + ["unknown_schema", "future_sample", "late_sample", "unknown_target", "wrong_partition",
             "oversized_batch", "malformed_batch", "bad_value"]
        )  # fmt: skip
        assert {x.hop for x in letters} == {"detect"}
        assert b"not avro at all" in {x.value for x in letters}
        await feed.samples("shop", True)
        told = await seen.wait(HEALTH, lambda h: any(x.target == "shop" and x.count_1h == 2 for x in h))
        last = next(x for x in told if x.target == "shop" and x.count_1h == 2)
        assert last.latency_mean_ms == pytest.approx((7 + 10) / 2)


async def test_unknown_targets_are_accepted_when_told(kafka, feed):
    """With unknown_targets: accept an application may push samples of targets that no file names."""
    async with reading(kafka, HEALTH) as seen, role(kafka, unknown_targets="accept"):
        await feed.samples("somebody", True)
        (told,) = await seen.wait(HEALTH, 1)
        assert (told.target, told.labels) == ("somebody", {"target": "somebody", "kind": "push"})


async def test_pane_that_is_over_becomes_a_rollup(kafka, feed):
    """A pane is told when it is over, and again, whole, when a late sample came."""
    async with reading(kafka, ROLLUPS) as seen, role(kafka):
        start = (now_ms() // 10_000 - 3) * 10_000
        await feed.samples("shop", True, False, at=start + 1, latency=30.0)
        first = (await seen.wait(ROLLUPS, lambda r: r and r[-1].count == [2]))[-1]
        assert (first.pane_start, first.target, first.count, first.errors, first.value_sum) == (
            start,
            ["shop"],
            [2],
            [1],
            [60],
        )
        await feed.samples("shop", True, at=start + 9_999, latency=5.0)
        again = (await seen.wait(ROLLUPS, lambda r: r[-1].count == [3]))[-1]
        assert (again.pane_start, again.value_min, again.value_max) == (start, [5], [30])


async def test_two_workers_share_the_partitions_and_hand_them_over(kafka, feed):
    """A second worker takes over partitions with their state; when it leaves, the first goes on from there."""
    async with reading(kafka, HEALTH) as seen:
        totals: dict[str, float] = {}

        def count() -> dict[str, float]:
            totals.update({h.target: max(h.count_1h, totals.get(h.target, 0)) for h in seen[HEALTH]})
            return totals

        async with role(kafka, health_every=0):
            for _ in range(5):
                await feed.samples("shop", True)
                await feed.samples("blog", True)
            await until(lambda: count() == {"shop": 5, "blog": 5})
            async with role(kafka, health_every=0):
                for _ in range(5):
                    await feed.samples("shop", True)
                    await feed.samples("blog", True)
                await until(lambda: count() == {"shop": 10, "blog": 10})
            for _ in range(5):
                await feed.samples("shop", True)
                await feed.samples("blog", True)
            await until(lambda: count() == {"shop": 15, "blog": 15})
        await asyncio.sleep(0)
        assert count() == {"shop": 15, "blog": 15}


async def test_every_pane_of_a_backlog_becomes_a_rollup(kafka):
    """A log that was written while nobody read it is told pane by pane, however fast it is read: none is passed over."""
    own_time = kafka.model_copy(update={"prefix": f"{kafka.prefix}backlog.", "partitions": 1})
    await make_topics(own_time)  # that of samples takes the records' own time
    begin, topic = (int(now_ms()) // 10_000 - 300) * 10_000, full_name(own_time, SAMPLES)
    producer = AIOKafkaProducer(**producer_options(own_time, "test"))
    await producer.start()
    for at in range(begin, begin + 2_900_000, 10_000):
        batch = SampleBatch(probe="p", target=["shop"], time=[float(at)], ok=[True], latency_ms=[1.0])
        await producer.send(topic, encode(batch), partition=0, timestamp_ms=at)
    await producer.stop()
    async with reading(own_time, ROLLUPS) as seen, role(own_time):
        wanted = {at: [1] for at in range(begin, begin + 2_900_000, 10_000)}
        await until(lambda: {r.pane_start: r.count for r in seen[ROLLUPS] if r.pane_ms == 10_000} == wanted)


@pytest.mark.timeout(600)
async def test_totals_are_exact_after_sigkills_under_load(kafka, feed, tmp_path):
    """Killed again and again while samples come in, detect counts each of them once, and misses no finding."""
    config = {
        "kafka": {"prefix": kafka.prefix, "partitions": kafka.partitions},
        "detect": {"unknown_targets": "accept", "commit_every": "100ms", "health_every": 0},
        "rules": [
            {"name": "down", "severity": "critical", "metric": "consecutive_failures", "operator": ">=", "value": 2}
        ],
    }
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(config))
    sent: dict[str, list[bool]] = {f"t{i}": [] for i in range(20)}
    done = asyncio.Event()

    async def load() -> None:
        dice = random.Random(7)
        while not done.is_set():
            for partition in range(kafka.partitions):
                names = [t for t in sent if partition_of(t, kafka.partitions) == partition]
                picked = [dice.choice(names) for _ in range(5)]
                oks = [dice.random() < 0.6 for _ in picked]
                for name, ok in zip(picked, oks, strict=True):
                    sent[name].append(ok)
                await feed.batch(
                    SampleBatch(
                        probe="p",
                        target=picked,
                        time=[now_ms() + i / 8 for i in range(5)],
                        ok=oks,
                        latency_ms=[1.0] * 5,
                    )
                )
            await asyncio.sleep(0.01)

    async with (
        reading(kafka, HEALTH, FINDINGS) as seen,
        role_process("detect", path, kafka, tmp_path / "data") as detect,
    ):
        loading = asyncio.create_task(load())
        for _ in range(4):
            told = len(seen[HEALTH])
            await seen.wait(HEALTH, lambda h, told=told: len(h) > told + 50)
            await detect.kill()
            await detect.start()
        done.set()
        await loading

        def counts() -> dict[str, tuple[float, float]]:
            return {h.target: (h.count_1h, h.errors_1h) for h in seen[HEALTH]}

        wanted = {t: (len(oks), oks.count(False)) for t, oks in sent.items()}
        await until(
            lambda: counts() == wanted,
            why=lambda: f"{ {t: (counts().get(t), w) for t, w in wanted.items() if counts().get(t) != w} }",
        )
        await until(
            lambda: all(
                changes(f for f in seen[FINDINGS] if f.target == target) == outages(oks) for target, oks in sent.items()
            )
        )
    assert detect.starts == 5


def outages(oks: list[bool]) -> list[bool]:
    """Where two failures in a row begin and end: true and false by turns."""
    out: list[bool] = []
    for i, ok in enumerate(oks):
        if (not ok and i > 0 and not oks[i - 1]) != bool(out and out[-1]):
            out.append(not ok)
    return out


def changes(findings) -> list[bool]:
    """Findings in the order of the samples behind them; what was told again is told but once."""
    found = {(f.source_offset, f.time): f.holds for f in findings}
    return [holds for holds, _ in groupby(holds for _, holds in sorted(found.items()))]


async def test_what_holds_is_told_again_now_and_then(kafka, feed, monkeypatch):
    """A rule that goes on holding is told again, so that an alert worker that missed it, or is new, hears of it."""
    monkeypatch.setattr(detect_app, "RETELL_EVERY_S", 0.3)
    async with reading(kafka, FINDINGS) as seen, role(kafka):
        await feed.samples("shop", False, False)
        found = await seen.wait(FINDINGS, 3)
        assert [(f.target, f.rule, f.holds) for f in found[:3]] == [("shop", "down", True)] * 3


async def test_commit_in_the_middle_of_a_mass_outage_loses_no_finding(kafka, feed):
    """However many findings one record leads to, a commit stores the record only with all of them told."""
    names = [f"t{i}" for i in range(4000)]
    names = [n for n in names if partition_of(n, 2) == 0]
    n = len(names)
    bad = SampleBatch(probe="p", target=names, time=[now_ms()] * n, ok=[False] * n, latency_ms=[1.0] * n)
    settings = DetectSettings(commit_every=0.005, unknown_targets="accept")
    async with reading(kafka, FINDINGS) as seen:
        arguments = {"kafka": kafka, "settings": settings, "targets": TARGETS, "rules": RULES}
        async with running(run, **arguments):
            await feed.batch(bad)
            await feed.batch(SampleBatch(**{**bad.to_dict(), "time": [now_ms()] * n}))
            await seen.wait(FINDINGS, 1)
        async with running(run, **arguments):
            found = await seen.wait(FINDINGS, lambda got: len({f.target for f in got}) == n)
            assert all(f.holds for f in found)
