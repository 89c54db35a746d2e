"""Much that is of no use: batches that decompress to more than any memory, floods of samples that are refused."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from schemas import SampleBatch, decode
from streams.compression import MOST_BYTES
from streams.kafka import client_options
from streams.partition import partition_of
from streams.topics import DEAD_LETTERS, HEALTH, SAMPLES, full_name
from streams.units import now_ms
from tests.kit.bombs import bomb, throw
from tests.kit.reader import everything, reading
from tests.kit.role import running
from tests.kit.samples import Feed

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(120)]


def role(kafka, unknown="accept", targets=()):
    settings = DetectSettings(commit_every=0.1, unknown_targets=unknown, health_every=0)
    return running(run, kafka=kafka, settings=settings, targets=targets, rules=())


def forget_peak():
    """Have the most memory that this process had be what it has now, where the system can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_batch_that_decompresses_beyond_bounds_is_one_dead_letter_and_costs_no_memory(kafka, producer):
    """It is kept as it came, named with its offsets, codec and the bound; what is around it counts, now and later."""
    feed, home = Feed(kafka, producer), partition_of("shop", kafka.partitions)
    topic = full_name(kafka, SAMPLES)
    bombs = {"gzip": bomb(1, 128 << 20), "lz4": bomb(3, 80 << 20), "zstd": bomb(4, 1 << 30)}
    async with reading(kafka, HEALTH, DEAD_LETTERS) as seen:
        async with role(kafka):
            await feed.samples("shop", True)
            await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 1)
            forget_peak()
            before, offsets = peak_bytes(), {}
            async with AIOKafkaProducer(**client_options(kafka, "test-bombs")) as thrower:
                for name, raw in bombs.items():
                    offsets[name] = await throw(thrower, topic, home, raw)
                    await feed.samples("shop", True)
                offsets["last"] = await throw(thrower, topic, home, bombs["zstd"])
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 4)
            letters = await seen.wait(DEAD_LETTERS, 4)
            assert peak_bytes() - before < 4 * MOST_BYTES
        async with role(kafka):
            await feed.samples("shop", True)
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 5)
        assert len(await everything(kafka, DEAD_LETTERS)) == 4
    assert {x.reason for x in letters} == {"oversized_decompressed"}
    for letter, (name, raw) in zip(letters, [*bombs.items(), ("last", bombs["zstd"])], strict=True):
        assert (letter.topic, letter.partition, letter.offset, letter.count) == (topic, home, offsets[name], 2)
        codec = "zstd" if name == "last" else name
        assert (
            f"records {letter.offset} to {letter.offset + 1}, in one batch of {len(raw)} bytes in {codec}"
            in letter.error
        )
        assert "more than 64 MiB" in letter.error
        assert letter.value[61:] == raw[61:]


async def test_flood_about_an_unknown_target_is_kept_and_can_be_sent_again(kafka, producer):
    """Each of its samples is in one dead letter, none of a known target's; sent again once it is known, all count."""
    feed, home, count = Feed(kafka, producer), partition_of("shop", kafka.partitions), 300
    new = next(n for n in map(str, range(99)) if partition_of(n, kafka.partitions) == home)
    shop = Target(name="shop", http={"url": "http://127.0.0.1:1"})
    async with reading(kafka, HEALTH, DEAD_LETTERS) as seen:
        async with role(kafka, "dead-letter", (shop,)):
            for i in range(count):
                names, times = ["shop", new, new], [now_ms() + j for j in range(3)]
                one = SampleBatch(probe="p", target=names, time=times, ok=[True] * 3, latency_ms=[float(i)] * 3)
                await feed.batch(one)
            await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == count)
            letters = await seen.wait(DEAD_LETTERS, count)
        batches = [decode(x.value, SampleBatch) for x in letters]
        assert [(b.target, b.latency_ms) for b in batches] == [([new] * 2, [float(i)] * 2) for i in range(count)]
        assert {(x.reason, x.count) for x in letters} == {("unknown_target", 2)}
        async with role(kafka):
            for letter in letters:
                await feed.raw(letter.value, letter.partition)
            await seen.wait(HEALTH, lambda h: any(x.target == new and x.count_1h == 2 * count for x in h))
        assert len(await everything(kafka, DEAD_LETTERS)) == count
