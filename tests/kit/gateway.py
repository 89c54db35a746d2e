"""A running gateway and its clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer
from websockets.asyncio.client import connect

from agents.gateway import models
from agents.gateway.app import run
from agents.gateway.settings import GatewaySettings
from agents.probe.settings import HttpCheck, PushCheck, Target
from schemas import Control, decode
from streams.kafka import KafkaSettings, consumer_options
from streams.topics import CONTROL, full_name
from tests.kit.ports import free_port
from tests.kit.role import PATIENCE_S, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection


TARGETS = (
    Target(name="shop", labels={"team": "web"}, timeout=1, http=HttpCheck(url="http://127.0.0.1:1/")),
    Target(name="api", labels={"platform": "shop-platform"}, timeout=1, http=HttpCheck(url="http://127.0.0.1:1/")),
    Target(name="www", labels={"platform": "shop-platform"}, timeout=1, http=HttpCheck(url="http://127.0.0.1:1/")),
    Target(name="jobs", push=PushCheck()),
)


class Running:
    def __init__(self, port: int, client: httpx.AsyncClient) -> None:
        self.port, self.http = port, client

    async def get(self, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.http.get(path, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()

    async def series(self, query: str, count: float) -> Any:
        """The series of a target, as the models say, once it stands for `count` samples."""

        async def whole() -> Any:
            found = await self.get(f"/api/targets/{query}")
            return found if sum(p["count"] for p in found["points"]) == count else None

        return models.Series.model_validate(await until(whole)).model_dump(exclude_unset=True)

    async def post(self, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        answer = await self.http.post(path, json={} if body is None else body, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()

    def live(self, query: str = "", **more: Any) -> connect:
        """A client, which takes in whatever comes: one that stops reading does not hear that it is let go either."""
        return connect(f"ws://127.0.0.1:{self.port}/ws/health{query}", **{"max_queue": None, **more})


@asynccontextmanager
async def gateway(kafka: KafkaSettings, *, url: str = "", port: int = 0, **settings: Any) -> AsyncIterator[Running]:
    port = port or free_port()
    targets = settings.pop("targets", TARGETS)
    more = {"rules": (), **{n: settings.pop(n) for n in ("rules", "maintenance", "silences") if n in settings}}
    # Clients of tests answer no pings: where it is not about them, none is let go for that.
    pings = {"heartbeat": 3600.0, "silent_after": 7200.0}
    arguments = {"kafka": kafka, "settings": GatewaySettings(port=port, **pings | settings), "url": url, **more}
    async with (
        running(run, **arguments, targets=targets),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
    ):
        yield Running(port, client)


async def receive(ws: ClientConnection, timeout: float = PATIENCE_S) -> dict[str, Any]:
    return orjson.loads(await asyncio.wait_for(ws.recv(), timeout))


async def receive_until(ws: ClientConnection, wanted: Any, timeout: float = PATIENCE_S) -> list[dict[str, Any]]:
    """Messages up to and with the first for which `wanted(message)` holds."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(timeout):
        while not found or not wanted(found[-1]):
            found.append(orjson.loads(await ws.recv()))
    return found


async def answering(kafka: KafkaSettings, react: Any, seen: list[Control]) -> None:
    """Play the role that reads `control`."""
    consumer = AIOKafkaConsumer(full_name(kafka, CONTROL), **consumer_options(kafka, "test"))
    await consumer.start()
    try:
        async for message in consumer:
            control = decode(message.value, Control)
            seen.append(control)
            await react(control)
    finally:
        await consumer.stop()
