"""Partitions that go from one detect worker to another under load: each sample counts once, whoever has it."""

from __future__ import annotations

import ast
import asyncio
import re
import signal
import uuid
from contextlib import asynccontextmanager

import pytest

from agents.crash import VARIABLE
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.detect.store import Store
from streams.kafka import KafkaSettings
from streams.topics import create_topics
from tests.kit import exact
from tests.kit.process import RoleProcess
from tests.kit.role import PATIENCE_S, running, until


@pytest.fixture
async def wide(broker):
    """Six partitions, so that three workers have two each."""
    kafka = KafkaSettings(bootstrap=broker, prefix=f"t{uuid.uuid4().hex[:10]}.", partitions=6)
    await create_topics(kafka)
    return kafka


class Workers:
    """Processes of detect by name, started again where they end by themselves, as the supervisor does."""

    def __init__(self, kafka, folder):
        self.kafka, self.folder = kafka, folder
        self.by_name: dict[str, RoleProcess] = {}
        self._all: list[RoleProcess] = []
        self.ended_by_itself = 0
        exact.write_config(folder / "p.yaml", kafka)

    async def start(self, name: str, **environment: str) -> RoleProcess:
        role = RoleProcess("detect", self.folder / "p.yaml", self.kafka, self.folder / name, environment)
        self._all.append(role)
        await role.start(wait=False)
        self.by_name[name] = role  # from now on it has a process that can be looked at
        return role

    def taken_over(self, name: str) -> int:
        """How often a worker has restored partitions."""
        log = self.by_name[name].log
        return log.read_text().count("state restored") if log.exists() else 0

    def has(self, name: str) -> set[int]:
        """The partitions that a worker has restored last."""
        log = self.by_name[name].log
        told = re.findall(r"state restored: (\{.*?\})", log.read_text()) if log.exists() else []
        return set(ast.literal_eval(told[-1])) if told else set()

    async def supervise(self) -> None:
        while True:
            for role in list(self.by_name.values()):
                if role.process.returncode is not None:
                    self.ended_by_itself += 1
                    await role.start(wait=False)
            await asyncio.sleep(0.1)

    async def leave(self, name: str) -> int:
        return await self.by_name.pop(name).stop()

    async def kill_all(self) -> None:
        for role in self._all:
            await role.kill()


@asynccontextmanager
async def under_load(kafka, folder):
    """Workers and a load; at the end, when one worker has folded all of it, everything must be exact."""
    workers, load, stop = Workers(kafka, folder), exact.Load(kafka, seed=11, targets=60, pause_s=0.1), asyncio.Event()
    loading = asyncio.create_task(load.run(stop))
    supervising = asyncio.create_task(workers.supervise())
    try:
        yield workers
        stop.set()
        await loading
        await exact.reaches(kafka, load.last)
    finally:
        stop.set()
        supervising.cancel()
        (supervised,) = await asyncio.gather(supervising, return_exceptions=True)
        await workers.kill_all()
        await asyncio.gather(loading, return_exceptions=True)
    assert isinstance(supervised, asyncio.CancelledError), "the workers were not supervised to the end"
    assert await exact.differences(kafka, load) == []


async def restores(workers: Workers, name: str, times: int) -> None:
    await until(lambda: workers.taken_over(name) >= times, why=f"{name} has not restored {times} times")


@pytest.mark.timeout(600)
async def test_one_worker_three_workers_one_worker(wide, tmp_path):
    """Two workers join, one of the three leaves and one is killed, all under load: state and findings are exact."""
    async with under_load(wide, tmp_path) as workers:
        await workers.start("one")
        await restores(workers, "one", 1)
        before = workers.taken_over("one")
        await workers.start("two")
        await workers.start("three")
        await restores(workers, "two", 1)
        await restores(workers, "three", 1)
        await restores(workers, "one", before + 1)
        before = workers.taken_over("three")
        assert await workers.leave("one") == 0
        await restores(workers, "three", before + 1)
        before = workers.taken_over("three")
        await workers.by_name.pop("two").kill()
        await restores(workers, "three", before + 1)
        assert workers.ended_by_itself == 0


@pytest.mark.timeout(600)
async def test_frozen_worker_is_shut_out_and_begins_anew(wide, tmp_path):
    """A worker that is frozen until another has its partitions writes nothing into their state when it wakes up."""
    async with under_load(wide, tmp_path) as workers:
        await workers.start("one")
        await restores(workers, "one", 1)
        await workers.start("two")
        await restores(workers, "two", 1)
        # A frozen process does not leave; the others have its partitions when its session ends.
        workers.by_name["one"].process.send_signal(signal.SIGSTOP)
        await until(lambda: workers.has("two") == set(range(6)), why="two has not all partitions")
        before = workers.taken_over("one")
        workers.by_name["one"].process.send_signal(signal.SIGCONT)
        await restores(workers, "one", before + 1)


@pytest.mark.timeout(600)
async def test_worker_that_dies_while_it_gives_up_partitions(wide, tmp_path):
    """Killed in the middle of giving up partitions, a worker leaves them whole to the others."""
    async with under_load(wide, tmp_path) as workers:
        one = await workers.start("one", **{VARIABLE: "detect.revoked:2"})
        await restores(workers, "one", 1)
        workers.by_name.pop("one")
        await workers.start("two")
        await until(lambda: one.process.returncode is not None, why="one was not asked to give up anything")
        assert one.process.returncode == -signal.SIGKILL
        await restores(workers, "two", 1)


async def test_rebalance_that_begins_while_the_state_is_read_is_not_waited_for(kafka, monkeypatch):
    """A worker that is still reading its state when another joins breaks off, and both share the partitions."""
    opened, broken_off = asyncio.Event(), asyncio.Event()
    open_it = Store.open

    async def slowly(store):
        if opened.is_set():
            return await open_it(store)
        opened.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            broken_off.set()
            raise

    monkeypatch.setattr(Store, "open", slowly)
    arguments = {"kafka": kafka, "settings": DetectSettings(unknown_targets="accept"), "targets": (), "rules": ()}
    load, halt = exact.Load(kafka, seed=2), asyncio.Event()
    first_ready = asyncio.Event()
    first = asyncio.create_task(run(**arguments, stop=halt, ready=first_ready.set))
    try:
        await asyncio.wait_for(opened.wait(), PATIENCE_S)
        async with running(run, **arguments):
            await asyncio.wait_for(broken_off.wait(), PATIENCE_S)
            await asyncio.wait_for(first_ready.wait(), PATIENCE_S)
            await load.some()
            await exact.reaches(kafka, load.last)
    finally:
        halt.set()
        await asyncio.wait_for(first, PATIENCE_S)
