"""The gateway as the page finds it, and what is looked for on the page."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect
from pydantic import SecretStr

from agents.gateway.app import run
from agents.gateway.settings import GatewaySettings
from agents.probe.settings import Target
from tests.kit.role import PATIENCE_S, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from streams.kafka import KafkaSettings


def http(name: str, **more: Any) -> Target:
    return Target.model_validate(
        {"name": name, "every": "10s", "timeout": "200ms", "http": {"url": "http://shop.example/"}, **more}
    )


SHOP, API = http("shop", labels={"team": "web"}), http("api", labels={"team": "core"})


@asynccontextmanager
async def gateway(kafka: KafkaSettings, port: int, *targets: Target, token: str | None = None) -> AsyncIterator[str]:
    """The gateway role; yields its address."""
    settings = GatewaySettings(port=port, token=SecretStr(token) if token else None)
    async with running(run, kafka=kafka, settings=settings, targets=targets, rules=(), url=""):
        yield f"http://127.0.0.1:{port}/"


async def is_live(page: Page, timeout: float = 1000 * PATIENCE_S) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=timeout)


def card(page: Page, name: str) -> Any:
    return page.locator(f".card[data-target={json.dumps(name)}]")


def containing(text: str) -> Any:
    """A pattern for Playwright's expectations: `text` somewhere."""
    return re.compile(re.escape(text))
