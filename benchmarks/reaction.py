"""How soon people get what they ask for: a check of four services on demand, and an alert that is silent no longer.

    python benchmarks/reaction.py [--quick] [--json] [--kafka HOST:PORT]

The clock of the demand starts with its record on `control` and stops when a consumer has the last of the four samples;
what is printed is how much later that is than the slowest answer, which takes 0.8 s. The clock of the silence starts
when the client is told that it is taken back, and stops when a consumer has the alert's transition that is to be told.
The probe and the alert role run in this process, on a real Kafka.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.alert import app as alert
from agents.alert.settings import AlertSettings
from agents.probe import app as probe
from agents.probe.settings import HttpCheck, ProbeSettings, Target
from benchmarks.common import finish, on_kafka, options, percentile
from schemas import Control
from streams.control_client import ControlClient
from streams.kafka import KafkaSettings, producer_options
from streams.rules import Rule
from streams.topics import ALERTS, SAMPLES, create_topics
from streams.units import now_ms
from tests.kit.findings import Feed
from tests.kit.reader import reading
from tests.kit.records import writer
from tests.kit.role import running
from tests.kit.services import HttpService

DELAYS = {"twitter": 0.1, "linkedin": 0.3, "instagram": 0.5, "facebook": 0.8}
DOWN = Rule(name="down", metric="up", operator="==", value=0, severity="critical")


async def demands(kafka: KafkaSettings, again: int) -> list[float]:
    """Milliseconds from each demand to the last of its samples, less the slowest answer's."""
    late = []
    async with HttpService() as web, reading(kafka, SAMPLES) as log, writer(kafka) as out:
        targets = tuple(
            Target(name=name, every=3600, timeout=5, allow_private=True, http=HttpCheck(url=web.url(f"/{name}")))
            for name in DELAYS
        )
        async with running(probe.run, kafka=kafka, settings=ProbeSettings(name="p"), targets=targets):

            async def seen(count: int) -> None:
                await log.wait(SAMPLES, lambda got: sum(len(b.target) for b in got) >= count)

            await seen(len(DELAYS))
            for name, delay in DELAYS.items():
                web.slow(delay, path=f"/{name}")
            for turn in range(again):
                began = time.perf_counter()
                await out.write(Control(kind="check", id="*", version=1, actor="benchmark", at=now_ms()))
                await seen(len(DELAYS) * (turn + 2))
                late.append((time.perf_counter() - began - max(DELAYS.values())) * 1000)
    return late


async def silences(kafka: KafkaSettings, again: int) -> list[float]:
    """Milliseconds from the end of each silence to its alert being told."""
    took = []
    client = ControlClient(kafka, "benchmark")
    targets = tuple(Target(name=f"t{i}", push={}) for i in range(again))
    role = {"settings": AlertSettings(tick=0.05), "targets": targets, "rules": (DOWN,)}
    async with (
        reading(kafka, ALERTS) as seen,
        running(alert.run, kafka=kafka, **role),
        AIOKafkaProducer(**producer_options(kafka, "benchmark")) as producer,
    ):
        feed = Feed(kafka, producer)
        for target in (t.name for t in targets):

            def told(got: list[Any], target: str = target) -> bool:
                return any(a.target == target and a.notify for a in got)

            now = now_ms()
            body = {"matchers": [f"target={target}"], "starts": now, "ends": now + 600_000}
            await client.change("silence", target, body, 0, "benchmark")
            # The role reads another topic for findings: nothing says when it has this silence.
            await asyncio.sleep(2)
            await feed.finding(DOWN, target=target)
            await seen.wait(ALERTS, lambda got, target=target: any(a.target == target for a in got))
            assert not told(seen[ALERTS]), "the silence took longer than two seconds"
            await client.change("silence", target, None, 1, "benchmark")
            began = time.perf_counter()
            await seen.wait(ALERTS, told)
            took.append((time.perf_counter() - began) * 1000)
    await client.close()
    return took


async def measure(bootstrap: str, args: Any) -> dict[str, Any]:
    again = 5 if args.quick else 20
    result: dict[str, Any] = {"benchmark": "reaction", "unit": "ms"}
    for name, work in (("demand_after_slowest", demands), ("silence_taken_back", silences)):
        kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"r{uuid.uuid4().hex[:8]}.", partitions=2)
        await create_topics(kafka)
        taken = await work(kafka, again)
        result[name] = {"p50": round(percentile(taken, 0.5)), "most": round(max(taken)), "measures": again}
        print(f"{name.replace('_', ' ')}: {result[name]['p50']} ms, {result[name]['most']} ms at most ({again} times)")
    return result


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    with on_kafka(args) as bootstrap:
        finish(asyncio.run(measure(bootstrap, args)), as_json=args.json)


if __name__ == "__main__":
    main()
