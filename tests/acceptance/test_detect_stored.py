"""Stored state that detect cannot go on from, on real Kafka."""

from __future__ import annotations

import struct

import pytest

from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.detect.store import Store
from streams import blocks
from streams.partition import partition_of
from streams.rules import Rule
from streams.topics import HEALTH
from tests.kit import exact
from tests.kit.reader import reading
from tests.kit.role import running
from tests.kit.samples import Feed

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
DICTS = ({"name": "down", "metric": "consecutive_failures", "operator": ">=", "value": 2, "severity": "critical"},)
RULES = tuple(Rule.model_validate(r) for r in DICTS)


def role(kafka):
    settings = DetectSettings(commit_every=0.1, health_every=0, unknown_targets="accept")
    return running(run, kafka=kafka, settings=settings, targets=(), rules=RULES)


def earlier(key, value):
    """As an earlier version wrote it."""
    return key, bytes([blocks.VERSION - 1]) + value[1:]


def torn(key, value):
    """As somebody else wrote it, later; what he did not write over is as it was."""
    return (key, value[:1] + struct.pack("<q", 4711) + value[9:]) if key[0] == blocks.LATEST else (key, value)


@pytest.mark.parametrize("spoil", [earlier, torn])
async def test_state_that_cannot_be_gone_on_from_is_folded_anew_from_the_log(kafka, producer, spoil):
    """State of an earlier version or of two writers: all is counted again, once, and nothing of it is left."""
    feed, home = Feed(kafka, producer), partition_of("shop", kafka.partitions)
    async with reading(kafka, HEALTH) as seen:
        async with role(kafka):
            offsets = await feed.samples("shop", True, False, True)
            await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 3)
            # What is told is not stored yet, and a stop does not wait for that for ever.
            await exact.reaches(kafka, {home: offsets[-1]}, DICTS)
        store = Store(kafka, home)
        try:
            entries = await store.open()
            assert entries
            await store.write([spoil(*entry) for entry in entries.items()])
        finally:
            await store.close()
        for more in (1, 2):  # the second goes on from what the first has stored
            async with role(kafka):
                await feed.samples("shop", True)
                told = await seen.wait(HEALTH, lambda h, n=3 + more: h and h[-1].count_1h == n)
                assert told[-1].errors_1h == 1
        store = Store(kafka, home)
        try:
            assert all(value[0] == blocks.VERSION for value in (await store.open()).values())
        finally:
            await store.close()
