"""What Probestream tells of itself, and the watchdog that restarts a consumer that stands still."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
import yaml
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from agents import watchdog
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.detect.worker import Worker
from agents.watch import REGISTRY
from streams.app import WorkerFailedError
from streams.kafka import producer_options
from streams.topics import FINDINGS, full_name
from tests.kit import exact
from tests.kit.ports import free_port
from tests.kit.process import RoleProcess
from tests.kit.role import PATIENCE_S, until

DOCUMENTED = Path(__file__).parents[2] / "docs" / "self-watch.md"


@pytest.mark.timeout(180)
async def test_gateway_has_every_documented_number_of_detect(kafka, tmp_path):
    """All that docs/self-watch.md names is at the gateway's /metrics, and says what was really read and refused."""
    port, config = free_port(), tmp_path / "p.yaml"
    exact.write_config(config, kafka)
    config.write_text(config.read_text() + yaml.safe_dump({"gateway": {"port": port}}))
    load, stop = exact.Load(kafka), asyncio.Event()
    loading = asyncio.create_task(load.run(stop))
    roles = [RoleProcess(name, config, kafka, tmp_path) for name in ("detect", "gateway")]
    try:
        for role in roles:
            await role.start(wait=False)
        for role in roles:
            await role.ready()
        await asyncio.sleep(1.0)
        stop.set()
        await loading
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:

            async def sums() -> dict[str, float]:
                found: dict[str, float] = {}
                for family in text_string_to_metric_families((await web.get("/metrics")).text):
                    for s in family.samples:
                        if s.labels.get("role") == "detect":
                            found[s.name] = found.get(s.name, 0.0) + s.value
                return found

            async def all_folded() -> dict[str, float] | None:
                """The numbers, once they are of everything; a role that stands still for seconds tells none."""
                got = await sums()
                no_avro = sum(1 for p in log for m in log[p] if m.value == b"no Avro")
                told = (
                    got.get("probestream_role_up") == 1
                    and got["probestream_detect_records_total"] >= sum(last + 1 for last in load.last.values())
                    and got.get("probestream_consumer_lag_records") == 0
                    and got["probestream_detect_refused_samples_total"] > no_avro
                )
                return got if told else None

            log = {p: await exact.everything(kafka, exact.SAMPLES, p) for p in range(kafka.partitions)}
            found = await until(all_folded)
            documented = set(re.findall(r"`((?:probestream|process)_[a-z_]+)`", DOCUMENTED.read_text()))
            assert len(documented) > 20
            assert {n for n in documented if n not in found and f"{n}_count" not in found} == set()
            assert found["probestream_detect_targets"] == len(load.counted)
            twice = found["probestream_detect_duplicates_total"]
            refused = found["probestream_detect_refused_samples_total"]
            useless = sum(1 for p in log for m in log[p] if m.value == b"no Avro")
            assert found["probestream_detect_samples_total"] == sum(load.counted.values()) + twice + refused - useless
            await roles[0].kill()
            await until(lambda: _down(web))
    finally:
        stop.set()
        for role in roles:
            await role.kill()
        await asyncio.gather(loading, return_exceptions=True)


async def _down(web: httpx.AsyncClient) -> bool:
    return 'probestream_role_up{role="detect",worker="1"} 0.0' in (await web.get("/metrics")).text


async def test_worker_that_stands_still_is_restarted_and_counted(kafka, monkeypatch):
    """A consumer that reads no further although there is more ends the role, which begins anew, and is counted."""
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.2)
    wedged, take = asyncio.Event(), Worker.take

    async def wedge(worker, event):
        await take(worker, event)
        monkeypatch.setattr(watchdog, "PATIENCE_S", 1.0)  # not before: on a slow machine the first may take long
        wedged.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Worker, "take", wedge)
    load, stop, ready = exact.Load(kafka), asyncio.Event(), asyncio.Event()

    def count() -> float:
        return REGISTRY.get_sample_value("probestream_gave_up_total", {"reason": "watchdog"}) or 0.0

    before = count()
    settings = DetectSettings(unknown_targets="accept")
    role = asyncio.create_task(run(kafka=kafka, settings=settings, targets=(), rules=(), stop=stop, ready=ready.set))
    loading = asyncio.create_task(load.run(stop))
    try:
        await asyncio.wait_for(wedged.wait(), PATIENCE_S)
        with pytest.raises(WorkerFailedError):
            await asyncio.wait_for(asyncio.shield(role), PATIENCE_S)
        assert count() == before + 1
    finally:
        stop.set()
        await asyncio.gather(role, loading, return_exceptions=True)


async def test_record_that_comes_after_a_quiet_time_is_no_sign_of_standing_still(kafka, monkeypatch):
    """Behind the mark that ends a transaction nothing is read for long; what comes then was not there to be read."""
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(watchdog, "PATIENCE_S", 0.1)
    topic, read = full_name(kafka, FINDINGS), {0: 0}
    looking, look = asyncio.Event(), watchdog._anything

    async def looked(*where):
        looking.set()
        return await look(*where)

    monkeypatch.setattr(watchdog, "_anything", looked)
    options = producer_options(kafka, "quiet")
    async with AIOKafkaProducer(**options, transactional_id=f"{kafka.prefix}quiet") as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"read", partition=0)  # at 0, with the mark at 1
        watching = asyncio.create_task(watchdog.watch(kafka, topic, lambda: read, "test"))
        try:
            for offset in (2, 4):  # with their marks at 3 and 5
                looking.clear()
                await asyncio.wait_for(looking.wait(), PATIENCE_S)  # as long as it takes to know that there is nothing
                read[0] = offset
                async with producer.transaction():
                    assert (await producer.send_and_wait(topic, b"new", partition=0)).offset == offset
            looking.clear()
            await asyncio.wait({watching, asyncio.create_task(looking.wait())}, return_when=asyncio.FIRST_COMPLETED)
            assert not watching.done()
            async with producer.transaction():
                await producer.send_and_wait(topic, b"never read", partition=0)
            await asyncio.wait_for(watching, PATIENCE_S)
        finally:
            watching.cancel()
