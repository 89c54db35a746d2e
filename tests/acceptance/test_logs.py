"""The logs role over real Kafka: lines in, samples of their counts out, whatever dies."""

from __future__ import annotations

import asyncio
import signal

from agents import crash
from agents.logs.app import run
from schemas import LogBatch, decode
from streams.kafka import KafkaSettings
from streams.log_lines import Line
from streams.partition import partition_of
from streams.topics import DEAD_LETTERS, SAMPLES
from streams.units import now_ms
from tests.kit.logs import QUICK, TARGETS, process, rows, sender, totals
from tests.kit.reader import reading
from tests.kit.role import running


def arguments(kafka: KafkaSettings, **more) -> dict:
    return {"kafka": kafka, "settings": QUICK, "targets": TARGETS, "accept_unknown": False, **more}


async def test_lines_become_counts(kafka: KafkaSettings) -> None:
    """Lines, errors, warnings and classes are counted per target, on the target's partition, with text for people."""
    async with reading(kafka, SAMPLES) as read, sender(kafka) as out, running(run, **arguments(kafka)):
        await out.send("api", [f"ERROR db 10.0.0.{i}: connection refused after {i} ms" for i in range(30)])
        await out.send("api", ["WARN cache is cold", "INFO all is well", "ERROR request timed out"])
        await out.send("web", [Line("GET / took 7 ms", level="info"), Line("boom", level="fatal")])
        found = await read.wait(SAMPLES, lambda got: totals(got)["api"] >= 33 and totals(got)["web"] >= 2)
    api = [r for r in rows(found) if r["target"] == "api"]
    assert totals(found) == {"api": 33, "web": 2}
    assert totals(found, "log.errors") == {"api": 31, "web": 1}
    assert totals(found, "log.warnings")["api"] == 1
    assert totals(found, "log.timeouts")["api"] == 1
    assert totals(found, "log.new_errors") == {"api": 2, "web": 1}
    assert max(r["log.repeats"] for r in api) == 30
    assert all(r["ok"] for r in api)
    told = " ".join(r["message"] for r in api)
    assert "new error: ERROR db <ip>: connection refused after <num> ms; for example: ERROR db 10.0.0.0" in told
    assert "1 timeouts, for example: ERROR request timed out" in told


async def test_a_killed_worker_loses_no_line_and_counts_none_twice(kafka: KafkaSettings) -> None:
    """SIGKILLs at each step of a flush, and at any time, under load: the totals are exactly the lines that were sent."""
    names = ["api", "web", "jobs", "db"]
    sent = dict.fromkeys(names, 0)
    errors = dict.fromkeys(names, 0)
    async with reading(kafka, SAMPLES) as read, sender(kafka) as out:
        stop = asyncio.Event()

        async def load() -> None:
            n = 0
            while not stop.is_set():
                name = names[n % 4]
                lines = [f"{'ERROR' if i % 5 == 0 else 'INFO'} step {i} of run {n} in {n % 7} ms" for i in range(37)]
                await out.send(name, lines)
                sent[name] += len(lines)
                errors[name] += sum(line.startswith("ERROR") for line in lines)
                n += 1
                await asyncio.sleep(0.01)

        loading = asyncio.create_task(load())
        role = process(kafka)
        try:
            for step in ("counted", "uncommitted", "stored", "sent"):
                role.environment = {crash.VARIABLE: f"logs.flush.{step}:3"}
                await role.start()
                assert await role.gone() == -signal.SIGKILL
            role.environment = {}
            await role.start()
            await read.wait(SAMPLES, len(read[SAMPLES]) + 1)
            role.kill()
            await role.gone()
            stop.set()
            await loading
            await role.start()
            found = await read.wait(SAMPLES, lambda got: all(totals(got)[n] >= sent[n] for n in names))
        finally:
            stop.set()
            await asyncio.gather(loading, return_exceptions=True)
            role.kill()
            await role.gone()
    assert totals(found) == sent
    assert totals(found, "log.errors") == errors
    assert totals(found, "log.new_errors") == dict.fromkeys(names, 1), "templates survive, nothing is new twice"
    for name in names:
        numbers = [r["sequence"] for r in rows(found) if r["target"] == name]
        assert numbers == sorted(set(numbers))


async def test_what_cannot_be_counted_is_a_dead_letter_without_secrets(kafka: KafkaSettings) -> None:
    """Garbage, unknown targets, targets of probes, another's partition and bad arrays are refused, with a reason."""
    here = partition_of("api", kafka.partitions)
    async with reading(kafka, SAMPLES, DEAD_LETTERS) as read, sender(kafka) as out, running(run, **arguments(kafka)):
        await out.raw(b"no avro", here)
        await out.put(LogBatch(target="apii", message=["login password=hunter2"]))
        await out.put(LogBatch(target="checked", message=["x"]))
        await out.put(LogBatch(target="api", message=["x"]), (here + 1) % kafka.partitions)
        await out.put(LogBatch(target="api", message=["x", "y"], level=["info"]))
        await out.put(LogBatch(target="", message=["x"]))
        await out.send("api", ["good"])
        letters = await read.wait(DEAD_LETTERS, 6)
        found = await read.wait(SAMPLES, lambda got: totals(got)["api"] >= 1)
    reasons = sorted(letter.reason for letter in letters)
    assert reasons == ["bad_value", "malformed_batch", "not_avro", "unknown_target", "wrong_kind", "wrong_partition"]
    unknown = next(letter for letter in letters if letter.reason == "unknown_target")
    assert decode(unknown.value, LogBatch).message == ["login password=<secret>"]
    assert totals(found) == {"api": 1}


async def test_bad_lines_are_counted_all_the_same(kafka: KafkaSettings) -> None:
    """Oversized lines are cut, impossible times become the arrival, late lines count in their own interval."""
    now = now_ms()
    async with reading(kafka, SAMPLES) as read, sender(kafka) as out, running(run, **arguments(kafka)):
        await out.put(LogBatch(target="api", message=["long " + "x" * 9000, "from tomorrow", "late", "", "\ufffd\ufffd"],
                               time=[now, now + 86_400_000, now - 600_000, now, now]))  # fmt: skip
        found = await read.wait(SAMPLES, lambda got: totals(got)["api"] >= 5)
    assert totals(found, "log.cut")["api"] == 1
    assert totals(found, "log.mistimed")["api"] == 1
    late = [r for r in rows(found) if r["time"] < now - 500_000]
    assert [r["log.lines"] for r in late] == [1]


async def test_workers_share_the_partitions(kafka: KafkaSettings) -> None:
    """A second worker takes partitions over and the first ends: every line is counted once."""
    names = ["api", "web", "jobs", "db"]
    async with reading(kafka, SAMPLES) as read, sender(kafka) as out, process(kafka) as first:
        for i in range(40):
            await out.send(names[i % 4], ["INFO one"] * 10)
        async with process(kafka):
            for i in range(40):
                await out.send(names[i % 4], ["INFO two"] * 10)
                await asyncio.sleep(0.02)
            first.kill()
            await first.gone()
            for i in range(40):
                await out.send(names[i % 4], ["INFO three"] * 10)
            found = await read.wait(SAMPLES, lambda got: sum(totals(got).values()) >= 1200)
    assert totals(found) == dict.fromkeys(names, 300)


async def test_quiet_targets_have_samples_of_zero(kafka: KafkaSettings) -> None:
    """Between lines there are samples of zero lines, so that a rule sees that errors ended and that logs fell silent."""
    settings = QUICK.model_copy(update={"quiet_after": 60.0})
    async with (
        reading(kafka, SAMPLES) as read,
        sender(kafka) as out,
        running(run, **arguments(kafka, settings=settings)),
    ):
        await out.send("api", ["ERROR once"])
        found = await read.wait(SAMPLES, lambda got: len(rows(got)) >= 4)
    assert [r["log.lines"] for r in rows(found)][:4] == [1, 0, 0, 0]
    times = [r["time"] for r in rows(found)]
    assert times == sorted(times)
