"""How soon a check on demand is done: four services, of which the slowest takes 0.8 s to answer.

    python benchmarks/demand.py [--quick] [--json] [--kafka HOST:PORT]

The clock starts with the demand's record on `control` and stops when a consumer has the last of the four samples; what
is printed is how much later that is than the slowest answer. The probe runs in this process, on a real Kafka.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.probe import app as probe
from agents.probe.settings import HttpCheck, ProbeSettings, Target
from benchmarks.common import finish, on_kafka, options, percentile
from schemas import Control
from streams.kafka import KafkaSettings
from streams.topics import SAMPLES, create_topics
from streams.units import now_ms
from tests.kit.reader import reading
from tests.kit.records import writer
from tests.kit.role import running
from tests.kit.services import HttpService

DELAYS = {"twitter": 0.1, "linkedin": 0.3, "instagram": 0.5, "facebook": 0.8}


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


async def measure(bootstrap: str, args: Any) -> dict[str, Any]:
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"d{uuid.uuid4().hex[:8]}.", partitions=2)
    await create_topics(kafka)
    late = await demands(kafka, 5 if args.quick else 20)
    result = {"p50_ms": round(percentile(late, 0.5)), "most_ms": round(max(late)), "measures": len(late)}
    print(f"after the slowest answer: {result['p50_ms']} ms, {result['most_ms']} ms at most ({len(late)} times)")
    return {"benchmark": "demand", **result}


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    with on_kafka(args) as bootstrap:
        finish(asyncio.run(measure(bootstrap, args)), as_json=args.json)


if __name__ == "__main__":
    main()
