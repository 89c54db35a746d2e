"""Kills the detect role under load, at named steps and at any time, and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents.crash import VARIABLE
from tests.kit import exact
from tests.kit.process import RoleProcess
from tests.kit.role import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from streams.kafka import KafkaSettings


@dataclass(frozen=True, slots=True)
class Kill:
    """At the `passage`-th passage of a step; without a step `after_s` from when the role is ready, or, `starting`,
    from when its process begins."""

    step: str = ""
    passage: int = 1
    after_s: float = 0.0
    starting: bool = False


@dataclass(slots=True)
class Report:
    """What came of it: how many kills, samples, seconds from a start to ready, and how the result differs."""

    kills: int = 0
    samples: int = 0
    ready_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def each_step(dice: random.Random, most: int = 12) -> list[Kill]:
    """One kill at each named step that every start comes by, at any of its passages while it works."""
    return [
        Kill(step, dice.randint(1, {"detect.restored.opened": 2, "detect.restored.loaded": 1}.get(step, most)))
        for step in exact.STEPS
        if step != "detect.revoked"
    ]


def at_random(dice: random.Random, count: int) -> list[Kill]:
    """Kills at any time of a short life; every fourth before the role is ready."""
    return [
        Kill(after_s=dice.uniform(0.8, 3.0), starting=True) if i % 4 == 3 else Kill(after_s=dice.expovariate(2.0))
        for i in range(count)
    ]


async def under_kills(
    kafka: KafkaSettings,
    folder: Path,
    kills: Iterable[Kill],
    *,
    seed: int = 1,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Kill detect as planned while samples come in; then let it finish, and compare."""
    config, load, report = folder / "p.yaml", exact.Load(kafka, seed, pause_s=0.05), Report()
    exact.write_config(config, kafka)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loading = asyncio.create_task(load.run(stop))
    last = RoleProcess("detect", config, kafka, folder)
    try:
        for kill in kills:
            began = loop.time()
            await _once(kafka, folder, kill)
            report.kills += 1
            said(f"{kill} after {loop.time() - began:.1f} s, {load.sent} samples")
        began = loop.time()
        await last.start()
        report.ready_s.append(loop.time() - began)
        stop.set()
        await loading
        await exact.reaches(kafka, load.last)
    finally:
        stop.set()
        await last.kill()
        with contextlib.suppress(Exception):
            await loading
    report.samples = load.sent
    report.wrong = await exact.differences(kafka, load)
    return report


async def _once(kafka: KafkaSettings, folder: Path, kill: Kill) -> None:
    environment = {VARIABLE: f"{kill.step}:{kill.passage}"} if kill.step else {}
    role = RoleProcess("detect", folder / "p.yaml", kafka, folder, environment)
    try:
        await role.start(wait=not kill.step and not kill.starting)
        process = role.process
        if kill.step:
            why = f"{kill.step} was not passed {kill.passage} times"
            await until(lambda: process.returncode is not None, why=why)
            assert process.returncode == -9, (
                f"{kill.step}: ended with {process.returncode}: {role.log.read_text()[-3000:]}"
            )
        else:
            await asyncio.sleep(kill.after_s)
            assert process.returncode is None, role.log.read_text()[-3000:]
    finally:
        await role.kill()
