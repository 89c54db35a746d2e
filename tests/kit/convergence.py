"""A running program, changes of it made in each of the three ways, and how each kind of worker shows that it knows.

`probestream up` on a Kafka that is there: every role in its own process, and the watch on the file.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from aiokafka import AIOKafkaProducer

from streams.kafka import KafkaSettings, producer_options
from streams.topics import ALERTS, CONTROL, DEAD_LETTERS, FINDINGS, NOTIFICATIONS, SAMPLES
from streams.units import now_ms
from tests.kit import samples
from tests.kit.cli import Cli
from tests.kit.front_door import Installation, Program
from tests.kit.logs import Sender
from tests.kit.notify import alert, send
from tests.kit.reader import Reader, reading
from tests.kit.receivers import WebhookServer
from tests.kit.role import PATIENCE_S, until
from tests.kit.services import HttpService

WORKERS = ("detect", "alert", "notify", "probe", "logs", "gateway")
_AGAIN_S = 0.05


@dataclass
class World:
    """The program and what it touches. A `tag` names one round of changes: nothing is asked for twice."""

    kafka: KafkaSettings
    path: Path
    cli: Cli
    api: httpx.AsyncClient
    web: HttpService
    seen: Reader
    feed: samples.Feed
    lines: Sender
    config: dict[str, Any]
    saved: dict[str, float] = field(default_factory=dict)
    sent: dict[str, list[float]] = field(default_factory=dict)

    # What each change says

    def bodies(self, tag: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """Section of the file and body, by the worker that is to show it."""
        check = {"url": self.web.url(f"/{tag}")}
        return {
            "detect": ("rules", {"name": f"rule-{tag}", "metric": "latency", "value": 1}),
            "alert": ("silences", {"name": f"silence-{tag}", "matchers": [f"target=quiet-{tag}"]}),
            "notify": ("preferences", {"name": f"person-{tag}", "muted": True}),
            "probe": ("targets", {"name": f"probed-{tag}", "every": 1, "kind": "http", "check": check}),
            "logs": ("targets", {"name": f"lines-{tag}", "kind": "push"}),
            "gateway": ("targets", {"name": f"known-{tag}", "kind": "push"}),
        }

    def record(self, worker: str, tag: str) -> Any:
        """The change on the control topic; None while it is not there."""
        kinds = {"rules": "rule", "silences": "silence", "preferences": "preference", "targets": "target"}
        section, body = self.bodies(tag)[worker]

        def meant(control: Any) -> bool:
            if control.kind != kinds[section]:
                return False
            return control.id == body["name"] or (section == "silences" and f"quiet-{tag}" in control.body)

        return next((c for c in self.seen[CONTROL] if meant(c)), None)

    # The three ways

    async def by_api(self, worker: str, tag: str) -> None:
        """One change through the gateway."""
        section, body = self.bodies(tag)[worker]
        if section == "silences":
            answer = await self.api.post("/api/v1/silences", json={"matchers": body["matchers"], "for": "1h"})
        else:
            wrapped = {"rule" if section == "rules" else "body": body}
            answer = await self.api.put(f"/api/v1/{section}/{body['name']}", json=wrapped)
        assert answer.status_code == 200, answer.text

    async def by_cli(self, worker: str, tag: str) -> None:
        """One change by a command."""
        section, body = self.bodies(tag)[worker]
        if section == "silences":
            await self.cli("silence", "add", *body["matchers"], "--for", "1h", "-m", "because")
        else:
            await self.cli(section, "set", "-", given=json.dumps(body))

    async def by_file(self, worker: str, tag: str) -> None:
        """One change by saving the file."""
        section, body = self.bodies(tag)[worker]
        entry = dict(body)
        if section == "targets":
            kind, check = entry.pop("kind"), entry.pop("check", {})
            entry |= {kind: check} | ({"allow_private": True} if kind == "http" else {})
        if section == "silences":
            entry |= {"starts": now_ms(), "ends": now_ms() + 3_600_000.0}
        self.config.setdefault(section, []).append(entry)
        part = self.path.with_suffix(".new")
        part.write_text(yaml.safe_dump(self.config))
        self.saved[f"{worker}/{tag}"] = now_ms()
        part.replace(self.path)

    @property
    def ways(self) -> dict[str, Callable[[str, str], Awaitable[None]]]:
        """By name."""
        return {"api": self.by_api, "cli": self.by_cli, "file": self.by_file}

    # How a worker shows that it knows

    async def shown(self, worker: str, tag: str) -> float:
        """When the worker did what it only does with the change, in ms; asks for it again and again."""
        ask = getattr(self, f"_{worker}")
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await ask(tag)):
                await asyncio.sleep(_AGAIN_S)
        return now_ms() if found is True else float(found)

    async def _detect(self, tag: str) -> bool:
        await self.feed.samples("app", True)
        return any(f.rule == f"rule-{tag}" and f.holds for f in self.seen[FINDINGS])

    async def _alert(self, tag: str) -> bool:
        told = [a for a in self.seen[ALERTS] if a.target == f"quiet-{tag}"]
        return bool(told) and (told[-1].state, told[-1].reason) == ("suppressed", "silenced")

    async def _notify(self, tag: str) -> bool:
        await send(self.kafka, alert(target=f"page-{tag}", rule="paged"))
        steps = [n for n in self.seen[NOTIFICATIONS] if n.target == f"page-{tag}"]
        return any((n.outcome, n.reason) == ("skipped", "preference_muted") for n in steps)

    async def _probe(self, tag: str) -> bool:
        return any(r.path == f"/{tag}" for r in self.web.requests)

    async def _logs(self, tag: str) -> float:
        """When the first line was sent that counted: their sample comes when its interval is over."""
        sent = self.sent.setdefault(tag, [])
        sent.append(now_ms())
        await self.lines.send(f"lines-{tag}", ["ERROR so it goes"])
        if not any(f"lines-{tag}" in b.target for b in self.seen[SAMPLES] if b.probe == "logs"):
            return 0.0
        return sent[sum(f"no target lines-{tag} " in letter.error for letter in self.seen[DEAD_LETTERS])]

    async def _gateway(self, tag: str) -> bool:
        found = (await self.api.get("/api/targets")).json()["targets"]
        return any(t["name"] == f"known-{tag}" for t in found)

    async def fire(self, tag: str) -> None:
        """Let an alert fire that the silence of `tag` is to hush."""

        def fires() -> bool:
            return any(a.target == f"quiet-{tag}" and a.state == "firing" for a in self.seen[ALERTS])

        await self.feed.samples(f"quiet-{tag}", False)
        await until(fires, PATIENCE_S, f"no alert of quiet-{tag}")


@asynccontextmanager
async def world(kafka: KafkaSettings, folder: Path, tags: list[str]) -> AsyncIterator[World]:
    """The program, ready, with what these rounds of changes are about."""
    async with AsyncExitStack() as stack:
        web, hook = await stack.enter_async_context(HttpService()), await stack.enter_async_context(WebhookServer())
        people = [f"person-{tag}" for tag in tags]
        config = {
            "targets": [{"name": "app", "push": {}}, *({"name": f"quiet-{tag}", "push": {}} for tag in tags)],
            "rules": [{"name": "down", "metric": "up", "operator": "==", "value": 0, "severity": "critical"}],
            "receivers": [{"name": name, "webhook_configs": [{"url": hook.url}]} for name in people],
            "route": {
                "routes": [{"matchers": [f"target=page-{tag}"], "receiver": f"person-{tag}"} for tag in tags]
            },
            "probe": {"allow_private": True},
            "logs": {"interval": 1, "settle": 0.2},
            "gateway": {"host": "127.0.0.1"},
        }  # fmt: skip
        cli, place = Cli(kafka, folder), Installation(folder)
        cli.config.write_text(yaml.safe_dump(config))
        program = Program([sys.executable, "-m", "probestream", "up"], place.env | cli.env, folder, folder / "output")
        stack.callback(program.end)
        await asyncio.to_thread(program.wait_text, "Dashboard", 120)
        producer = await stack.enter_async_context(AIOKafkaProducer(**producer_options(kafka, "test")))
        seen = await stack.enter_async_context(
            reading(kafka, CONTROL, FINDINGS, ALERTS, NOTIFICATIONS, SAMPLES, DEAD_LETTERS)
        )
        api = await stack.enter_async_context(httpx.AsyncClient(base_url=place.page, timeout=PATIENCE_S))
        yield World(
            kafka, cli.config, cli, api, web, seen, samples.Feed(kafka, producer), Sender(kafka, producer), config
        )
