"""The probe role while its broker dies and comes back."""

from __future__ import annotations

import asyncio

from agents.probe.app import run
from agents.probe.settings import HttpCheck, KafkaCheck, ProbeSettings, Target
from schemas import Control
from streams.topics import SAMPLES
from streams.units import now_ms
from tests.kit.reader import reading
from tests.kit.records import writer
from tests.kit.role import running, until
from tests.kit.services import HttpService


def broker_checks(batches) -> list[tuple[int, bool]]:
    """When the target named broker was looked at, and whether it was there."""
    return [(b.time[i], b.ok[i]) for b in batches for i, name in enumerate(b.target) if name == "broker"]


async def test_what_was_seen_without_a_broker_is_sent_when_it_is_back(own_broker):
    """Two SIGKILLs of the broker: checks go on, every observation arrives in order, and demands are heard again."""
    async with HttpService() as web:
        every = [
            Target(name=f"t{i}", every=0.2, timeout=60, allow_private=True, http=HttpCheck(url=web.url(f"/{i}")))
            for i in range(5)
        ]
        quiet = Target(name="quiet", every=3600, allow_private=True, http=HttpCheck(url=web.url("/quiet")))
        itself = Target(name="broker", every=0.5, timeout=60, kafka=KafkaCheck())
        targets = (*every, quiet, itself)
        async with running(run, kafka=own_broker.kafka, settings=ProbeSettings(name="p1"), targets=targets):
            for _ in range(2):
                before = len(web.requests)
                await until(lambda n=before: len(web.requests) > n + 20)
                own_broker.kill()
                before = len(web.requests)
                await asyncio.sleep(1.5)  # an outage, not a blip
                await until(lambda n=before: len(web.requests) >= n + 25, why="checks do not go on")
                await own_broker.start()
            async with reading(own_broker.kafka, SAMPLES) as log:
                seen = now_ms()
                await log.wait(SAMPLES, lambda got: any(b.time[-1] > seen for b in got))
                await log.wait(SAMPLES, lambda got: any(fine for at, fine in broker_checks(got) if at > seen))
                asked = len([r for r in web.requests if r.path == "/quiet"])
                async with writer(own_broker.kafka) as out:

                    async def asked_again() -> bool:
                        await out.write(Control(kind="check", id="quiet", version=1, actor="t", at=now_ms()))
                        return len([r for r in web.requests if r.path == "/quiet"]) > asked

                    await until(asked_again, why="demands are not heard")
        async with reading(own_broker.kafka, SAMPLES) as log:
            requests = {
                t.name: sum(r.path == t.http.url.removeprefix(web.url("")) for r in web.requests) for t in every
            }
            rows = lambda name: [  # noqa: E731
                (b.sequence[i], b.time[i]) for b in log[SAMPLES] for i, n in enumerate(b.target) if n == name
            ]
            assert min(requests.values()) > 10
            for name, count in requests.items():
                # The last request may have been under way at the stop.
                await until(lambda n=name, c=count: len(rows(n)) >= c - 1, why=f"{name}: {count} checks")
                assert rows(name) == sorted(set(rows(name))), "in order, none twice"
            # Another partition than the others' may be read later.
            gone = lambda got: any(not fine for _, fine in broker_checks(got))  # noqa: E731
            await log.wait(SAMPLES, gone)
            assert broker_checks(log[SAMPLES])[0][1], "the broker's own target was fine at first"
