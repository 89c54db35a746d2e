"""Changes at run time over real Kafka: versions, conflicts, history, and what is left after compaction."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas import Control, encode
from streams.control import Controls
from streams.control_bodies import BodyError
from streams.control_client import Accepted, Conflict, ControlClient, Edit, fold
from streams.kafka import close, consumer_options, producer_options
from streams.rules import Rule
from streams.topics import CONTROL, full_name
from streams.units import now_ms
from tests.kit.reader import everything, reading
from tests.kit.records import writer
from tests.kit.role import until

SLOW = {"name": "slow", "metric": "latency", "value": 100}


def silence(**more):
    now = now_ms()
    return {"matchers": ['team="web"'], "starts": now, "ends": now + 60_000, "author": "ada", **more}


@pytest.fixture
async def client(kafka):
    client = ControlClient(kafka)
    yield client
    await client.close()


@pytest.fixture
async def other(kafka):
    client = ControlClient(kafka, "other")
    yield client
    await client.close()


async def test_of_two_edits_at_once_the_first_wins(kafka, client, other):
    """Whoever edited the same version later hears who was faster, and no reader ever sees the loser's record."""
    assert (await client.change("rule", "slow", SLOW, 0, "ada")).version == 1
    both = await asyncio.gather(
        client.change("rule", "slow", {**SLOW, "value": 200}, 1, "ada"),
        other.change("rule", "slow", {**SLOW, "value": 300}, 1, "bob"),
    )
    won = next(x for x in both if isinstance(x, Accepted))
    lost = next(x for x in both if isinstance(x, Conflict))
    assert won.version == 2
    assert f"was changed by {won.record.actor} at " in lost.message
    assert "is at version 2; you edited version 1" in lost.message
    async with reading(kafka, CONTROL) as seen:
        records = await seen.wait(CONTROL, 5)
        assert [(r.version, r.actor) for r in records if r.kind == "rule"] == [(1, "ada"), (2, won.record.actor)]
    assert (await client.refresh()).current("rule", "slow") == (await other.refresh()).current("rule", "slow")


async def test_many_writers_lose_no_change(kafka):
    """Six writers who do not care for the version write twelve changes: all are there, each with its own number."""
    clients = [ControlClient(kafka, f"c{i}") for i in range(6)]
    try:
        done = await asyncio.gather(
            *(c.change("threshold", "slow", {"value": i * 10 + n}, None, f"c{i}") for i, c in enumerate(clients) for n in range(2))
        )  # fmt: skip
        assert sorted(a.version for a in done) == list(range(1, 13))
        history = (await clients[0].refresh()).history("threshold", "slow")
        assert [c.version for c in history] == list(range(1, 13))
        assert {c.actor for c in history} == {f"c{i}" for i in range(6)}
        assert all(b.old == a.new for a, b in pairwise(history))
    finally:
        for c in clients:
            await c.close()


async def test_no_edit_is_made_over_one_that_was_not_seen(kafka):
    """Four writers count together, each adding one to what it read: the sum is the number of accepted edits."""
    clients = [ControlClient(kafka, f"c{i}") for i in range(4)]

    async def count(client: ControlClient) -> int:
        accepted = 0
        while accepted < 3:
            there = (await client.refresh()).current("threshold", "slow")
            value = json.loads(there.body)["value"] + 1 if there is not None else 1
            version = there.version if there is not None else 0
            done = await client.change("threshold", "slow", {"value": value}, version, "me")
            accepted += isinstance(done, Accepted)
        return accepted

    try:
        total = sum(await asyncio.gather(*(count(c) for c in clients)))
        assert (await clients[0].refresh()).value("threshold", "slow").value == total == 12
    finally:
        for c in clients:
            await c.close()


async def test_history_and_rollback_outlive_compaction(kafka, client):
    """Of a log of which only the last record of each key is left, the fold knows every version, and can go back."""
    for version, value in enumerate((100, 200, 300)):
        await client.change("rule", "slow", {**SLOW, "value": value}, version, "ada", note=f"to {value}")
    back = await client.roll_back("rule", "slow", 1, 3, "bob")
    assert isinstance(back, Accepted)
    assert back.version == 4
    messages = await everything(kafka, CONTROL)
    compacted = {m.key: m for m in messages}  # the last of each key
    assert len(compacted) < len(messages)
    controls = Controls()
    for message in sorted(compacted.values(), key=lambda m: m.offset):
        fold(controls, message.key, message.value)
    history = controls.history("rule", "slow")
    assert [(c.version, c.actor, c.new["value"], c.note) for c in history] == [
        (1, "ada", 100, "to 100"),
        (2, "ada", 200, "to 200"),
        (3, "ada", 300, "to 300"),
        (4, "bob", 100, "back to version 1"),
    ]
    assert controls.rules((Rule(**{**SLOW, "value": 7}),))[0].value == 100


async def test_several_changes_are_all_or_none(client):
    """One bad or outdated change among several, and none is written; what was wanted is in the audit trail."""
    with pytest.raises(BodyError, match="bad"):
        await client.change_all([Edit("rule", "slow", SLOW), Edit("rule", "bad", {"metric": "latency"})], "ada")
    assert await client.change_all(
        [Edit("rule", "slow", SLOW, 0), Edit("rule", "b", {**SLOW, "name": "b"}, 9)], "ada"
    ) == Conflict(9, None)
    controls = await client.refresh()
    assert controls.live("rule") == {}
    assert [(c.outcome, c.id, c.actor) for c in controls.audit()] == [
        ("conflict", "b", "ada"),
        ("invalid", "bad", "ada"),
    ]
    assert all(c.message for c in controls.audit())


async def test_readers_pass_over_what_breaks_the_rules(kafka, client):
    """Records of a stranger with a wrong version, kind, body, or no Avro change nothing, for no reader."""
    await client.change("silence", "s1", silence(), 0, "ada")
    async with writer(kafka) as stranger:
        bad = [
            Control(kind="silence", id="s1", version=1, actor="eve", at=now_ms(), deleted=True),
            Control(kind="silence", id="s1", version=3, actor="eve", at=now_ms(), deleted=True),
            Control(kind="silence", id="s1", version=2, actor="eve", at=now_ms(), body='{"matchers": []}'),
            Control(kind="wish", id="s1", version=1, actor="eve", at=now_ms()),
        ]
        await stranger.write(*bad)
        await stranger.raw("control", b"junk", b"silence/s1")
    controls = await client.refresh()
    assert controls.current("silence", "s1").actor == "ada"
    assert list(controls.live("silence")) == ["s1"]
    assert (await client.change("silence", "s1", None, 1, "bob")).version == 2


async def test_a_writer_knows_its_own_change(kafka, client):
    """Once it is told that a change is made it has read it, also where the log's readable end comes later."""
    stranger = AIOKafkaProducer(**producer_options(kafka, "stranger"), transactional_id=f"{kafka.prefix}stranger")
    await stranger.start()
    try:
        await stranger.begin_transaction()  # nobody reads past what it writes until it ends
        await (await stranger.send(full_name(kafka, CONTROL), b"junk", key=b"x", partition=0))
        change = asyncio.create_task(client.change("rule", "slow", SLOW, 0, "ada"))
        await until(lambda: _written(kafka, 4))  # the stranger's record, the change, its history, and its commit
        await asyncio.wait({change}, timeout=0.3)
        await stranger.abort_transaction()
        await change
        assert client.controls.version("rule", "slow") == 1
    finally:
        await close(stranger)


async def _written(kafka, offset) -> bool:
    """Whether the topic reaches so far, committed or not."""
    options = consumer_options(kafka, "test") | {"isolation_level": "read_uncommitted"}
    async with AIOKafkaConsumer(**options) as consumer:
        tp = TopicPartition(full_name(kafka, CONTROL), 0)
        return (await consumer.end_offsets([tp]))[tp] >= offset


async def test_a_writer_that_dies_in_the_middle_leaves_nothing(kafka, client, other):
    """What it had sent is never seen, the next writer does not wait for it, and the version is free."""
    await client.change("rule", "slow", SLOW, 0, "ada")
    dying = AIOKafkaProducer(
        **producer_options(kafka, "dying"), transactional_id=f"{kafka.prefix}control", transaction_timeout_ms=600_000
    )
    await dying.start()
    await dying.begin_transaction()
    half = Control(kind="rule", id="slow", version=2, actor="eve", at=now_ms(), body=json.dumps(SLOW))
    await (await dying.send(full_name(kafka, CONTROL), encode(half), key=b"rule/slow", partition=0))
    try:
        done = await other.change("rule", "slow", {**SLOW, "value": 5}, 1, "bob")
        assert (done.version, done.record.actor) == (2, "bob")
        assert [c.actor for c in (await client.refresh()).history("rule", "slow")] == ["ada", "bob"]
    finally:
        await close(dying)


async def test_what_is_long_over_is_removed(kafka, client):
    """Silences that ended over five weeks ago leave the log, and with them their history."""
    long_ago = now_ms() - 40 * 86_400_000
    async with writer(kafka) as stranger:
        old = Control(
            kind="silence", id="old", version=1, actor="ada", at=long_ago,
            body=json.dumps({"matchers": ["a=b"], "starts": long_ago, "ends": long_ago + 1000}),
        )  # fmt: skip
        await stranger.write(old)
    await client.change("silence", "new", silence(), 0, "ada")
    assert list((await client.refresh()).live("silence")) == ["new"]
    assert next(m.key for m in await everything(kafka, CONTROL) if m.value is None) == b"silence/old"
