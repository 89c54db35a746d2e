"""Kafka: the brokers that the program itself runs on, asked for their metadata."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.metadata import MetadataRequest

from agents.probe.observation import Observation
from streams.kafka import client_options
from streams.topics import FLOW, full_name
from streams.units import human

if TYPE_CHECKING:
    from agents.probe.context import Context
    from agents.probe.settings import Target
    from streams.kafka import KafkaSettings


async def check(target: Target, ctx: Context) -> Observation:
    """Ask for the metadata of our topics; `latency_ms` is that round trip, without connecting.

    Not ok where no broker answers or a partition of ours has no leader.
    """
    if ctx.kafka is None:
        return Observation(ok=False, status="no_kafka", message="no Kafka is configured for this check")
    admins = ctx.shared(_Admins)
    limit = asyncio.timeout(target.timeout)
    try:
        async with limit:
            return await _ask(ctx.kafka, admins)
    except Exception as error:  # whatever aiokafka raises while brokers are away
        await admins.drop()
        if limit.expired():
            return Observation(
                ok=False, status="timeout", message=f"no answer from {ctx.kafka.servers} within {human(target.timeout)}"
            )
        return Observation(
            ok=False, status="unavailable", message=f"no answer from {ctx.kafka.servers}: {type(error).__name__}"
        )


async def _ask(kafka: KafkaSettings, admins: _Admins) -> Observation:
    kept = admins.admin is not None
    try:
        return await _metadata(kafka, await admins.get(kafka))
    except Exception:
        if not kept:
            raise
    # A connection kept from the last check may belong to a broker that has restarted since: ask on a new one.
    await admins.drop()
    return await _metadata(kafka, await admins.get(kafka))


async def _metadata(kafka: KafkaSettings, admin: Any) -> Observation:
    began = time.perf_counter()
    # Its public methods ask for every topic of the cluster, or make brokers create those that are missing.
    request = MetadataRequest([full_name(kafka, topic) for topic in FLOW], allow_auto_topic_creation=False)
    found = (await admin._send_request(request)).to_object()  # noqa: SLF001 - the client has no public call for it
    latency_ms = (time.perf_counter() - began) * 1000.0
    partitions = [(topic["topic"], p) for topic in found["topics"] for p in topic["partitions"]]
    offline = [f"{name}/{p['partition']}" for name, p in partitions if p["leader"] < 0]
    thin = sum(len(p["isr"]) < len(p["replicas"]) for _, p in partitions)
    return Observation(
        ok=not offline,
        latency_ms=latency_ms,
        status="partitions_offline" if offline else "",
        message=f"no leader for {', '.join(offline[:5])}{' …' if len(offline) > 5 else ''}" if offline else "",
        metrics={
            "kafka.brokers": float(len(found["brokers"])),
            "kafka.partitions_offline": float(len(offline)),
            "kafka.partitions_under_replicated": float(thin),
        },
    )


class _Admins:
    """The connection, kept from one check to the next."""

    def __init__(self) -> None:
        self.admin: Any = None

    async def get(self, kafka: KafkaSettings) -> Any:
        """The client, started."""
        if self.admin is None:
            admin = AIOKafkaAdminClient(**client_options(kafka, "probe-check"))
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self.admin = admin
        return self.admin

    async def drop(self) -> None:
        """Let the connection go."""
        admin, self.admin = self.admin, None
        if admin is not None:
            await admin.close()

    aclose = drop
