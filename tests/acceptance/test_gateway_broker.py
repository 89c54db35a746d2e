"""The gateway and the history while the broker dies and comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agents.history.app import run as history_run
from agents.history.settings import StorageSettings
from streams.history import ALERTS
from tests.acceptance.test_history import count
from tests.kit.broker import Broker
from tests.kit.gateway import gateway, receive, receive_until
from tests.kit.records import alert, writer
from tests.kit.role import running, until

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_broker_dies_and_comes_back(own_broker: Broker, tmp_path: Path) -> None:
    """Meanwhile REST answers from memory and actions are refused; afterwards each record is told and kept once."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    kafka = own_broker.kafka
    async with (
        running(history_run, kafka=kafka, settings=StorageSettings(), url=url),
        gateway(kafka) as g,
        g.live() as ws,
    ):
        async with writer(kafka) as w:
            for i in range(20):
                await w.write(alert(id=f"before{i}"))
        told = await receive_until(ws, lambda m: m["type"] == "health_alert" and m["alert"]["id"] == "before19")
        own_broker.kill()
        refused = await g.post("/api/alerts/before1/acknowledge", status=503)
        assert refused["error"]["code"] == "kafka_unavailable"
        assert len((await g.get("/api/health/alerts"))["alerts"]) == 20
        assert "probestream_kafka_connected" in (await g.http.get("/metrics")).text
        await own_broker.start()
        async with writer(kafka) as w:
            for i in range(20):
                await w.write(alert(id=f"after{i}"))
        ids = [m["alert"]["id"] for m in told if m["type"] == "health_alert"]
        async with asyncio.timeout(40):
            while len(ids) < 40:
                message = await receive(ws, 40)
                if message["type"] == "health_alert":
                    ids.append(message["alert"]["id"])
        await until(lambda: count(url, ALERTS) == 40, 40)
        assert len(set(ids)) == 40
