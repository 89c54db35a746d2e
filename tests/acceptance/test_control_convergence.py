"""Whatever way a change is made, every kind of worker of a running program goes by it, without a restart."""

from __future__ import annotations

import pytest

from tests.kit.convergence import WORKERS, world
from tests.kit.role import until

# Every process of the system starts anew; a loaded machine takes its time.
pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(600)]
ACTORS = {"api": "api", "cli": "ada", "file": "file"}


async def test_every_worker_goes_by_every_change(kafka, tmp_path):
    """A rule, silence, preference and targets, by API, command line and file: detect, alert, notify, probe, logs and
    gateway do what they only do with it, and each change is on the log with a version and who made it.
    """
    async with world(kafka, tmp_path, list(ACTORS)) as here:
        for way, change in here.ways.items():
            await here.fire(way)
            for worker in WORKERS:
                await change(worker, way)
            for worker in WORKERS:
                try:
                    await here.shown(worker, way)
                except TimeoutError:
                    pytest.fail(f"{worker} does not know of a change by {way}")
                record = await until(lambda w=worker, t=way: here.record(w, t))
                assert (record.version, record.actor) == (1, ACTORS[way])
