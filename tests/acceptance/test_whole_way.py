"""A sample's whole way: a service breaks and heals, and everybody concerned hears of it once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
import yaml
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from agents.notify.settings import Receiver
from schemas import Alert
from streams.topics import ALERTS, NOTIFICATIONS, create_topics
from streams.units import now_ms
from tests.kit.broker import Broker
from tests.kit.ports import free_port
from tests.kit.process import RoleProcess
from tests.kit.reader import Reader, reading
from tests.kit.receivers import SlackServer, SmtpServer, WebhookServer
from tests.kit.role import until
from tests.kit.services import HttpService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from streams.kafka import KafkaSettings

ROLES = ("probe", "detect", "alert", "notify", "history", "gateway")
CHANNELS = ("slack", "email", "webhook")
SECRET = "s3cret"

# Every process of the system starts anew in these; a loaded machine takes its time.
pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]


@dataclass
class Page:
    """A WebSocket client as the page is one: it reconnects by itself and resumes where it was."""

    url: str
    token: str = ""
    cursor: str = ""
    alerts: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    checked: float = 0.0

    async def run(self) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with connect(self.url + (f"?cursor={self.cursor}" if self.cursor else "")) as ws:
                    self.connections += 1
                    async for text in ws:
                        message = orjson.loads(text)
                        if message["type"] == "ping":
                            await ws.send('{"type": "pong"}')
                        self.take(message)
            await asyncio.sleep(0.1)

    def take(self, message: dict[str, Any]) -> None:
        self.cursor = message.get("cursor") or self.cursor
        if message["type"] == "health_alert":
            self.alerts.append(message["alert"])
        if message["type"] == "health_update":
            times = [
                datetime.fromisoformat(t["last_check"]).timestamp() * 1000
                for t in message["targets"]
                if t["last_check"]
            ]
            self.checked = max([self.checked, *times])


@dataclass
class System:
    """All six roles as processes, the three receivers, the service they watch, and a client."""

    kafka: KafkaSettings
    folder: Path
    service: HttpService
    slack: SlackServer
    smtp: SmtpServer
    webhook: WebhookServer
    reader: Reader
    port: int
    page: Page
    roles: dict[str, RoleProcess] = field(default_factory=dict)

    def write_config(self) -> Path:
        receiver = {
            "name": "team",
            "slack_configs": [{"api_url": self.slack.url}],
            "email_configs": [
                {
                    "to": "ops@example.org",
                    "from": "probe@example.org",
                    "smarthost": self.smtp.smarthost,
                    "require_tls": False,
                }
            ],
            "webhook_configs": [{"url": self.webhook.url, "secret": SECRET}],
        }
        Receiver.model_validate(receiver)
        config = {
            "targets": [{"name": "shop", "every": "150ms", "timeout": "60s", "allow_private": True, "labels": {"team": "web"}, "http": {"url": self.service.url()}}],
            "rules": [{"name": "down", "severity": "critical", "metric": "consecutive_failures", "operator": ">=", "value": 2, "annotations": {"summary": "{{ target }} is down"}}],
            "route": {"receiver": "team"},
            "receivers": [receiver],
            "gateway": {"port": self.port},
            "kafka": {"prefix": self.kafka.prefix, "partitions": self.kafka.partitions},
            "notify": {"retry_initial": "200ms", "retry_max": "1s", "timeout": "60s"},
        }  # fmt: skip
        path = self.folder / "probestream.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    async def start(self) -> None:
        config = self.write_config()
        self.roles = {r: RoleProcess(r, config, self.kafka, self.folder / "data") for r in ROLES}
        for role in self.roles.values():
            await role.start(wait=False)
        for role in self.roles.values():
            await role.ready()

    async def restart(self, name: str) -> None:
        """What the supervisor does when a role has died."""
        await self.roles[name].start()

    async def state(self, wanted: str, timeout: float = 60) -> list[Alert]:
        """Wait for the transition to `wanted`."""
        return await self.reader.wait(ALERTS, lambda got: any(a.state == wanted for a in got), timeout)

    async def told(self, n: int, timeout: float = 60) -> None:
        """Wait until the ledger has `n` deliveries on each channel, and the page as many alerts."""
        for channel in CHANNELS:
            await self.reader.wait(NOTIFICATIONS, lambda got, c=channel: len(self.delivered(got, c)) >= n, timeout)
        await until(lambda: len(self.page.alerts) >= n, timeout, "the page was not told")

    async def settled(self) -> None:
        """Wait until ten more checks went the whole way: what a replay would say twice comes before them."""
        seen = len(self.service.requests)
        await until(lambda: len(self.service.requests) >= seen + 10)
        since = now_ms()
        await until(lambda: self.page.checked > since, why="no news of later checks")

    @staticmethod
    def delivered(ledger: list[Any], channel: str) -> set[tuple[str, int]]:
        return {(x.alert_id, x.number) for x in ledger if x.channel == channel and x.outcome == "delivered"}

    def counted_repeats(self, channel: str) -> int:
        return len(
            {
                (x.alert_id, x.number, x.attempt)
                for x in self.reader[NOTIFICATIONS]
                if x.channel == channel and x.repeat and x.outcome in ("delivered", "intent")
            }
        )

    def messages(self) -> dict[str, list[str]]:
        """What each receiver was told, in order: the states."""
        mail = ["resolved" if "resolved" in m.message["Subject"].lower() else "firing" for m in self.smtp.messages]
        hooks = [r.json["status"] for r in self.webhook.requests]
        slack = [
            "resolved" if "resolved" in orjson.dumps(r.json).decode().lower() else "firing" for r in self.slack.requests
        ]
        return {"slack": slack, "email": mail, "webhook": hooks}

    def check(self, may_repeat: str | None = None) -> None:
        """One firing and one resolved for everybody; a repeat only where `may_repeat` allows, and counted."""
        alerts = self.reader[ALERTS]
        assert [(a.rule, a.target, a.number, a.state) for a in alerts] == [
            ("down", "shop", 1, "firing"),
            ("down", "shop", 2, "resolved"),
        ]
        assert len({a.id for a in alerts}) == 1
        assert [(a["id"], a["number"], a["state"]) for a in self.page.alerts] == [
            (a.id, a.number, a.state) for a in alerts
        ]
        for channel, states in self.messages().items():
            assert list(dict.fromkeys(states)) == ["firing", "resolved"], (channel, states)
            repeats = len(states) - 2
            if may_repeat == "notify":
                assert repeats <= self.counted_repeats(channel), (channel, states)
            else:
                assert repeats == 0, (channel, states)
        assert all(self.webhook.verifies(r) for r in self.webhook.requests)


@contextlib.asynccontextmanager
async def system(kafka: KafkaSettings, folder: Path) -> AsyncIterator[System]:
    port = free_port()
    async with (
        HttpService() as service, SlackServer() as slack, SmtpServer() as smtp, WebhookServer(SECRET) as webhook,
        reading(kafka, ALERTS, NOTIFICATIONS) as reader,
    ):  # fmt: skip
        page = Page(f"ws://127.0.0.1:{port}/ws/health")
        one = System(kafka, folder, service, slack, smtp, webhook, reader, port, page)
        client = None
        try:
            await one.start()
            client = asyncio.create_task(page.run())
            await until(lambda: page.connections)
            await until(lambda: status(one, "healthy"), why="the service never became healthy")
            yield one
        finally:
            if client is not None:
                client.cancel()
                await asyncio.gather(client, return_exceptions=True)
            for role in one.roles.values():
                await role.kill()


async def status(one: System, wanted: str) -> bool:
    """Whether the API says `wanted` of the service."""
    async with httpx.AsyncClient() as http:
        try:
            answer = (await http.get(f"http://127.0.0.1:{one.port}/api/health/platform/shop")).json()
        except httpx.TransportError:
            return False
    return bool(answer.get("success")) and answer["platforms"][0]["status"] == wanted


async def test_service_that_breaks_and_heals_is_told_once_each(kafka, tmp_path):
    """Slack, email, webhook and WebSocket each get one firing and one resolved; the history has both."""
    async with system(kafka, tmp_path) as one:
        one.service.answer(503)
        fired = (await one.state("firing"))[0]
        await one.told(1)
        assert fired.annotations["summary"] == "shop is down"
        await until(lambda: status(one, "unhealthy"))  # told at the next commit, unlike findings
        one.service.answer(200)
        await one.state("resolved")
        await one.told(2)
        one.check()
        await until(lambda: rows(one) == [(fired.id, 1, "firing"), (fired.id, 2, "resolved")], why="not in the history")
        for role in reversed(one.roles.values()):
            assert await role.stop() == 0
        one.check()


def rows(one: System) -> list[tuple[str, int, str]]:
    with contextlib.closing(sqlite3.connect(one.folder / "data" / "history.sqlite")) as db:
        return db.execute("select id, number, state from alerts order by number").fetchall()


@pytest.mark.parametrize("victim", ["detect", "alert", "notify", "gateway", "probe", "history"])
async def test_role_that_is_killed_loses_and_repeats_nothing(kafka, tmp_path, victim):
    """SIGKILL as the service breaks, and again as it heals: everybody still hears of each once."""
    async with system(kafka, tmp_path) as one:
        for status_code, state, n in ((503, "firing", 1), (200, "resolved", 2)):
            one.service.answer(status_code)
            # Somewhere between the probe that sees it and the message that tells it.
            seen = len(one.service.requests)
            await until(lambda enough=seen + n: len(one.service.requests) >= enough)
            await one.roles[victim].kill()
            await one.restart(victim)
            await one.state(state)
            await one.told(n)
        await one.settled()
        one.check(may_repeat=victim)


async def test_broker_that_is_killed_loses_and_repeats_nothing(tmp_path):
    """SIGKILL of Kafka itself as the service breaks: when it is back, everybody hears of it, once."""
    broker = Broker(tmp_path / "broker")
    with broker.data.locked():
        await broker.start()
        try:
            await create_topics(broker.kafka)
            async with system(broker.kafka, tmp_path) as one:
                supervisor = asyncio.create_task(supervise(one))
                one.service.answer(503)
                seen = len(one.service.requests)
                await until(lambda: len(one.service.requests) >= seen + 2)
                broker.kill()
                await asyncio.sleep(2)  # an outage, not a blip
                await broker.start()
                await one.state("firing", 90)
                await one.told(1, 90)
                one.service.answer(200)
                await one.state("resolved", 90)
                await one.told(2, 90)
                supervisor.cancel()
                await one.settled()
                one.check(may_repeat="notify")
        finally:
            broker.kill()


async def supervise(one: System) -> None:
    """Start again whatever ends."""
    while True:
        for role in one.roles.values():
            if role.process is not None and role.process.returncode is not None:
                await role.start(wait=False)
        await asyncio.sleep(0.5)
