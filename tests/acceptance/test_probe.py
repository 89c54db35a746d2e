"""The probe role on real Kafka, against real services."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math

import pytest

from agents.probe.app import run
from agents.probe.settings import HostCheck, HttpCheck, KafkaCheck, ProbeSettings, PushCheck, Target, TcpCheck
from schemas import Control, SampleBatch, decode
from streams.kafka import KafkaSettings
from streams.partition import partition_of
from streams.topics import SAMPLES
from streams.units import now_ms
from tests.kit.reader import everything, reading
from tests.kit.records import writer
from tests.kit.role import PATIENCE_S, running, until
from tests.kit.services import HttpService, TcpService

SETTINGS = ProbeSettings(name="p1")


def http(name: str, url: str, every: float = 3600.0, **more) -> Target:
    spec = {k: more.pop(k) for k in ("conditions", "follow_redirects") if k in more}
    return Target(name=name, every=every, timeout=more.pop("timeout", 60.0), allow_private=True, http=HttpCheck(url=url, **spec), **more)  # fmt: skip


def check(name: str) -> Control:
    return Control(kind="check", id=name, version=1, actor="test", at=now_ms())


def samples(batches: list[SampleBatch], target: str | None = None) -> list[dict]:
    """Every sample as a mapping, in the order of the log."""
    found = []
    for b in batches:
        details = {d["row"]: d for d in b.details}
        for i, name in enumerate(b.target):
            if target in (None, name):
                text = details.get(i, {"status": "", "message": ""})
                found.append({
                    "target": name, "time": b.time[i], "ok": b.ok[i], "latency_ms": b.latency_ms[i], "sequence": b.sequence[i],
                    "metrics": {m["name"]: m["value"][i] for m in b.metrics if not math.isnan(m["value"][i])}, "status": text["status"], "message": text["message"],
                })  # fmt: skip
    return found


async def test_every_kind_becomes_samples(kafka: KafkaSettings):
    """A target of each kind is sampled within seconds of the start, and push targets are left alone."""
    async with HttpService() as web, TcpService() as tcp:
        targets = (
            http("web", web.url()),
            Target(name="port", every=3600, allow_private=True, tcp=TcpCheck(address=tcp.address), timeout=60),
            Target(name="machine", every=3600, host=HostCheck(), timeout=60),
            Target(name="broker", every=3600, kafka=KafkaCheck(), timeout=60),
            Target(name="pushed", push=PushCheck()),
        )
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets), reading(kafka, SAMPLES) as log:
            await log.wait(SAMPLES, lambda got: len({s["target"] for s in samples(got)}) == 4)
        found = {s["target"]: s for s in samples(log[SAMPLES])}
        assert all(s["ok"] for s in found.values()), found
        assert all(b.probe == "p1" for b in log[SAMPLES])
        assert found["web"]["status"] == "200"
        assert found["web"]["latency_ms"] > 0
        assert found["port"]["metrics"]["tcp.connect_ms"] > 0
        assert 0 <= found["machine"]["metrics"]["cpu.used_percent"] <= 100
        assert math.isnan(found["machine"]["latency_ms"])
        assert found["broker"]["metrics"]["kafka.brokers"] == 1


async def test_samples_lie_in_the_partition_of_their_target(kafka: KafkaSettings):
    """Each record holds samples of its own partition only."""
    async with HttpService() as web:
        names = [f"t{i}" for i in range(20)]
        targets = tuple(http(n, web.url(f"/{n}"), every=0.3) for n in names)
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets), reading(kafka, SAMPLES) as log:
            await log.wait(SAMPLES, lambda got: {s["target"] for s in samples(got)} == set(names))
    records = await everything(kafka, SAMPLES)
    assert {r.partition for r in records} == set(range(kafka.partitions)), "every partition has samples"
    for record in records:
        batch = decode(record.value, SampleBatch)
        assert {partition_of(name, kafka.partitions) for name in batch.target} == {record.partition}


async def test_the_cadence_neither_drifts_nor_piles_up(kafka: KafkaSettings):
    """Checks keep to multiples of the interval; a slow one skips ticks, and never runs twice at a time."""
    async with HttpService() as web:
        web.slow(0.07, path="/steady")
        web.slow(0.25, path="/slow")
        targets = tuple(http(n, web.url(f"/{n}"), every=0.2) for n in ("steady", "slow"))

        def kept(got: list[SampleBatch]) -> bool:
            """Whether most of eleven checks in a row kept to one grid of 200 ms; drifting by 70 ms each, few ever do."""
            times = [s["time"] for s in samples(got, "steady")][-11:]
            late = [abs((t - times[-1] + 100) % 200 - 100) for t in times]
            return len(times) == 11 and sorted(late)[len(late) // 2] < 20

        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets), reading(kafka, SAMPLES) as log:
            # The machine may stand still at any time: then later ones keep to it.
            await log.wait(SAMPLES, kept)
            await log.wait(SAMPLES, lambda got: len(samples(got, "slow")) >= 4)
        slow = [s["time"] for s in samples(log[SAMPLES], "slow")]
        assert all(b - a > 250 for a, b in itertools.pairwise(slow))


async def test_sequences_grow_across_restarts(kafka: KafkaSettings):
    """The sequence of a target and probe only grows, also when the probe starts again."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log:
        for round_ in (1, 2):
            async with running(run, kafka=kafka, settings=SETTINGS, targets=(http("web", web.url(), every=0.05),)):
                await log.wait(SAMPLES, lambda got, n=5 * round_: len(samples(got)) >= n)
        numbers = [s["sequence"] for s in samples(log[SAMPLES])]
        assert numbers == sorted(set(numbers))


async def test_a_demand_is_met_whatever_the_cadence(kafka: KafkaSettings):
    """A check on demand of one target or of all waits for no tick; an unknown name and bytes that are no Avro do no harm."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log, writer(kafka) as out:
        targets = tuple(http(n, web.url(f"/{n}")) for n in ("a", "b"))
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets):
            await log.wait(SAMPLES, lambda got: len(samples(got)) == 2)
            await out.raw("control", b"no avro", b"check/a")
            await out.write(check("nobody"), Control(kind="ack", id="a", version=1, actor="t", at=now_ms()))
            asked = now_ms()
            await out.write(check("a"))
            await log.wait(SAMPLES, lambda got: len(samples(got)) >= 3)
            last = samples(log[SAMPLES])[-1]
            assert last["target"] == "a"
            assert last["time"] >= asked - 1
            await out.write(check("*"))
            await log.wait(SAMPLES, lambda got: len(samples(got)) >= 5)
            assert [len(samples(log[SAMPLES], n)) for n in ("a", "b")] == [3, 2]


async def test_a_demand_during_a_check_is_met_after_it(kafka: KafkaSettings):
    """A check that began before the demand does not count for it: one more follows, however many asked."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log, writer(kafka) as out:
        targets = tuple(http(n, web.url(f"/{n}")) for n in ("web", "last"))

        def asked_for(path: str) -> int:
            return sum(r.path == path for r in web.requests)

        web.hold()
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets):
            web.release("/last")
            await log.wait(SAMPLES, lambda got: samples(got, "last"))
            await until(lambda: asked_for("/web"))
            asked = now_ms()
            await out.write(check("web"), check("web"), check("*"), check("last"))
            await until(lambda: asked_for("/last") >= 2)  # the others were read before it
            web.release("/web")
            await log.wait(SAMPLES, lambda got: len(samples(got, "web")) >= 2)
            first, second = samples(log[SAMPLES], "web")
            assert first["time"] < asked <= second["time"]
            await out.write(check("web"))
            await log.wait(SAMPLES, lambda got: len(samples(got, "web")) >= 3)
            assert asked_for("/web") == 3


async def test_no_platform_waits_for_another(kafka: KafkaSettings):
    """Four targets checked on demand are all asked before any has answered, and told of as each answers."""
    names = ["twitter", "linkedin", "instagram", "facebook"]
    async with HttpService() as web, reading(kafka, SAMPLES) as log, writer(kafka) as out:
        targets = tuple(http(n, web.url(f"/{n}"), timeout=30) for n in names)
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets):
            await log.wait(SAMPLES, lambda got: len(samples(got)) == 4)
            web.hold()
            await out.write(check("*"))
            await until(lambda: len(web.requests) == 8)
            for name in names[::-1]:
                web.release(f"/{name}")
                told = await log.wait(SAMPLES, lambda got, n=name: len(samples(got, n)) == 2)
                assert samples(told)[-1]["target"] == name


async def test_a_service_that_turns_bad_and_heals_is_seen(kafka: KafkaSettings):
    """Failing conditions say what they saw; a refused connection, a timeout and a reset say what they are."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log:
        target = http("shop", web.url(), every=0.1, timeout=0.3, conditions=["[STATUS] == 200", "[BODY].ok == true"])

        async def until_seen(status: str, *, ok: bool, text: str = "") -> str:
            """The message of the next check of this kind with `text` in it: a machine that stands still has others."""
            n = len(log[SAMPLES])

            def such(got):
                return [
                    s["message"]
                    for s in samples(got[n:])
                    if (s["status"], s["ok"]) == (status, ok) and text in s["message"]
                ]

            return such(await log.wait(SAMPLES, such))[0]

        async with running(run, kafka=kafka, settings=SETTINGS, targets=(target,)):
            assert await until_seen("200", ok=True) == ""
            web.answer(503, {"ok": False})
            assert await until_seen("503", ok=False) == "[STATUS] (503) == 200; [BODY].ok (false) == true"
            web.hang()
            assert await until_seen("timeout", ok=False, text="first byte") == (
                "no answer within 300ms: gave up while waiting for the first byte"
            )
            web.reset()
            assert "connection reset" in await until_seen("connection_reset", ok=False)
            await web.down()
            assert "connection refused" in await until_seen("connection_refused", ok=False)
            web.answer(200)
            await web.up()
            assert await until_seen("200", ok=True) == ""


async def test_without_kafka_the_probe_goes_on(kafka: KafkaSettings, caplog: pytest.LogCaptureFixture):
    """With no broker to reach, the role says so, goes on checking, and stops all the same."""
    async with HttpService() as web:
        away = kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})
        targets = (http("web", web.url(), every=0.1),)
        with caplog.at_level(logging.WARNING, "probestream.probe"):
            async with running(run, kafka=away, settings=SETTINGS, targets=targets) as stop:
                await until(lambda: len(web.requests) > 10 and "samples cannot be sent" in caplog.text)
                stop.set()
        assert "samples cannot be sent" in caplog.text
        assert "samples could not be sent before the end" in caplog.text


async def test_the_end_of_the_role_loses_no_sample(kafka: KafkaSettings):
    """Whatever was checked before the stop is in the log after it."""
    async with HttpService() as web:
        targets = tuple(http(f"t{i}", web.url(), every=0.05) for i in range(10))
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets):
            await until(lambda: len(web.requests) > 100)
        done = len(web.requests)
        async with reading(kafka, SAMPLES) as log:
            # A request that was under way at the stop is no observation; each target has one at most.
            await log.wait(SAMPLES, lambda got: len(samples(got)) >= done - len(targets))
            assert len(samples(log[SAMPLES])) <= done


async def test_with_nothing_to_probe_the_role_stays(kafka: KafkaSettings):
    """Without a target to probe the role waits for its end, instead of ending over and over."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        run(kafka=kafka, settings=SETTINGS, targets=(Target(name="p", push=PushCheck()),), stop=stop, ready=ready.set)
    )
    await asyncio.wait_for(ready.wait(), PATIENCE_S)
    assert not task.done()
    stop.set()
    await asyncio.wait_for(task, PATIENCE_S)
