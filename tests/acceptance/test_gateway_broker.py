"""The gateway and the history while the broker dies and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.history.app import run as history_run
from agents.history.settings import StorageSettings
from streams.history import ALERTS
from tests.acceptance.test_history import count
from tests.kit.broker import Broker
from tests.kit.gateway import gateway, receive
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
        ids: list[str] = []

        async def hear(count: int) -> None:
            while len(ids) < count:
                message = await receive(ws)
                if message["type"] == "health_alert":
                    ids.append(message["alert"]["id"])

        await hear(20)  # all of them, for what comes by two partitions comes in no order
        own_broker.kill()
        refused = await g.post("/api/alerts/before1/acknowledge", status=503)
        assert refused["error"]["code"] == "kafka_unavailable"
        assert len((await g.get("/api/health/alerts"))["alerts"]) == 20
        assert "probestream_kafka_connected" in (await g.http.get("/metrics")).text
        await own_broker.start()
        async with writer(kafka) as w:
            for i in range(20):
                await w.write(alert(id=f"after{i}"))
        await hear(40)
        await until(lambda: count(url, ALERTS) == 40)
        assert len(set(ids)) == 40
