"""The gateway as the page finds it, and what is looked for on the page."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
from playwright.async_api import expect
from pydantic import SecretStr

from agents.gateway.app import run
from agents.gateway.settings import GatewaySettings
from agents.probe.settings import Target
from schemas import Alert, Health, Notification, Record, Rollup
from streams.instants import iso
from tests.kit.role import PATIENCE_S, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from streams.kafka import KafkaSettings
    from tests.kit.records import Writer


def http(name: str, **more: Any) -> Target:
    # Seldom: nothing probes it, and no check is to be overdue before a slow machine is done.
    return Target.model_validate(
        {"name": name, "every": "1h", "timeout": "200ms", "http": {"url": "http://shop.example/"}, **more}
    )


SHOP, API = http("shop", labels={"team": "web"}), http("api", labels={"team": "core"})


@asynccontextmanager
async def gateway(kafka: KafkaSettings, port: int, *targets: Target, token: str | None = None) -> AsyncIterator[str]:
    """The gateway role; yields its address."""
    settings = GatewaySettings(port=port, token=SecretStr(token) if token else None)
    async with running(run, kafka=kafka, settings=settings, targets=targets, rules=(), url=""):
        yield f"http://127.0.0.1:{port}/"


async def tell(out: Writer, url: str, *records: Record) -> None:
    """Write, and wait until the gateway at `url` knows it all: a page that is opened then has it from the start."""
    await out.write(*records)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        for record in records:
            await until(lambda r=record: _knows(client, r), why=lambda r=record: f"the gateway does not know {r}")


async def _knows(client: httpx.AsyncClient, record: Record) -> bool:
    match record:
        case Health():
            targets = (await client.get("/api/targets")).json()["targets"]
            return any((t["name"], t["last_check"]) == (record.target, iso(record.time)) for t in targets)
        case Alert():
            story = (await client.get(f"/api/alerts/{record.id}")).json()
            return any(t["number"] == record.number for t in story.get("transitions", ()))
        case Notification():
            story = (await client.get(f"/api/alerts/{record.alert_id}")).json()
            return any(n["outcome"] == record.outcome for n in story.get("notifications", ()))
        case Rollup():
            found = (await client.get(f"/api/targets/{record.target[0]}/series?minutes=60&step_s=10")).json()
            at = iso(record.pane_start)
            return any((p["time"], p["count"]) == (at, record.count[0]) for p in found["points"])
    raise TypeError(record)


async def is_live(page: Page, timeout: float = 1000 * PATIENCE_S) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=timeout)


def card(page: Page, name: str) -> Any:
    return page.locator(f".card[data-target={json.dumps(name)}]")


def containing(text: str) -> Any:
    """A pattern for Playwright's expectations: `text` somewhere."""
    return re.compile(re.escape(text))
