"""The page without a gateway, without a WebSocket, without a token, with hostile names in a real Chromium, on the real gateway, on real Kafka."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from streams.units import now_ms
from tests.kit.browser import Complaints, new_page
from tests.kit.page import SHOP, card, containing, gateway, http, is_live, tell
from tests.kit.ports import free_port
from tests.kit.records import alert, health, notification, rollup, writer

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from streams.kafka import KafkaSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


async def test_a_gateway_that_restarts(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Says that it is disconnected, comes back by itself, shows what it missed, and nothing twice."""
    port = free_port()
    pane = now_ms() // 10_000 * 10_000 - 120_000
    async with writer(kafka) as out:
        page = await new_page(browser, complaints)
        heard: list[dict[str, Any]] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(json.loads(frame))))
        async with gateway(kafka, port, SHOP) as url:
            await tell(out, url, health("shop", latency_ms=10.0), rollup(pane, {"shop": (1.0, 0.0, 10.0)}))
            await page.goto(url)
            await is_live(page)
            await out.write(alert("a1", 2, "firing"))
            await expect(page.locator("#bell .badge")).to_have_text("1")
            await page.evaluate("window.sameVisit = true")
        await expect(page.locator("#live")).to_have_text("Disconnected")
        await expect(page.locator("#banner")).to_contain_text("What is shown may be out of date")
        await out.write(
            alert("a1", 3, "resolved", at=now_ms() - 1000, resolved=now_ms() - 1000),
            alert("a2", 1, "pending", rule="slow", fired=None),
            alert("a2", 2, "firing", rule="slow", annotations={"summary": "shop is slow"}),
            health("shop", "degraded", latency_ms=77.0),
            rollup(pane + 60_000, {"shop": (1.0, 0.0, 500.0)}),
        )
        async with gateway(kafka, port, SHOP):
            await is_live(page)
            await expect(page.locator("#banner")).to_be_hidden()
            await expect(page.locator(".alert .alert-summary")).to_have_text(["shop is slow"])
            await expect(page.locator("#bell .badge")).to_have_text("2")
            await expect(card(page, "shop")).to_contain_text("Degraded")
            await expect(card(page, "shop").locator(".chart-svg")).to_have_attribute(
                "aria-label", containing("most 500 ms")
            )
            await page.click("#bell")
            await expect(page.locator(".bell-list strong")).to_have_text(["shop is slow", "shop is down"])
            assert await page.evaluate("window.sameVisit"), "the page was loaded anew"
            assert [m["resumed"] for m in heard if m["type"] == "connection"] == [False, True]


async def test_a_network_without_websockets(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Where a proxy lets no WebSocket through, the page says that it is not live, and looks again now and then."""
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP) as url:
        page = await new_page(browser, complaints)
        await page.route_web_socket("**/ws/health*", lambda socket: socket.close())
        await page.goto(url)
        await expect(page.locator("#live")).to_have_text("Disconnected")
        await out.write(health("shop", "unhealthy"), alert("a1", 2))
        await expect(page.locator("#overall")).to_have_text("1 target unhealthy")
        await expect(page.locator(".alert")).to_have_count(1)
        await expect(page.locator("#bell .badge")).to_have_text("1")


async def test_hostile_names_are_text(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Names, labels, messages and links that hold markup or script are shown as what they are: text."""
    target = http(HOSTILE, labels={"team": HOSTILE})
    async with writer(kafka) as out, gateway(kafka, free_port(), target) as url:
        await tell(
            out, url,
            health(HOSTILE, "unhealthy", message=HOSTILE, labels=target.all_labels, code=HOSTILE, metrics={HOSTILE: 1.0}, rules=[HOSTILE]),
            alert("a1", 2, target=HOSTILE, rule=HOSTILE, labels={"x": HOSTILE},
                  annotations={"summary": HOSTILE, "description": HOSTILE, "runbook_url": "javascript:window.hacked=1"}),
            notification("a1", number=2, receiver=HOSTILE, error=HOSTILE, outcome="failed"),
        )  # fmt: skip
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        await expect(page.locator(".card-name")).to_have_text([HOSTILE])
        await expect(page.locator(".card-message")).to_have_text([HOSTILE])
        await page.locator(".card-name").click()
        await expect(page.locator("#sheet-title")).to_have_text(HOSTILE)
        await expect(page.locator("#sheet .history")).to_contain_text(HOSTILE)
        await page.locator("#sheet .history button").click()
        await expect(page.locator("#sheet .told")).to_contain_text(HOSTILE)
        await expect(page.locator("#sheet a")).to_have_count(0)
        await page.keyboard.press("Escape")
        await page.click("#bell")
        await expect(page.locator(".bell-list strong")).to_have_text([HOSTILE])
        assert await page.evaluate(
            "[window.hacked, document.querySelectorAll('main script, main img, dialog script').length]"
        ) == [None, 0]


async def test_a_token_is_asked_for(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """With a token set the page asks for it, refuses a wrong one, keeps it in the tab alone and goes live with it."""
    port = free_port()
    async with writer(kafka) as out:
        page = await new_page(browser, complaints)
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        async with gateway(kafka, port, SHOP, token="straße-+/=") as url:
            await out.write(health("shop"))
            await page.goto(url)
            await expect(page.locator("#login")).to_be_visible()
            await expect(page.locator(".card[data-target]")).to_have_count(0)
            await page.get_by_label("Token").fill("wrong")
            await page.keyboard.press("Enter")
            await expect(page.locator(".login-problem")).to_contain_text("not the gateway's")
        async with gateway(kafka, port, SHOP, token="first-token"):
            await page.get_by_label("Token").fill("first-token")
            await page.keyboard.press("Enter")
            await is_live(page)
            await expect(page.locator("#login")).to_be_hidden()
            await expect(card(page, "shop")).to_contain_text("Healthy")
            assert not any("first-token" in socket for socket in sockets)
            assert await page.evaluate("JSON.stringify(localStorage)") == await page.evaluate(
                "JSON.stringify({...localStorage})"
            )
            assert "first-token" not in await page.evaluate("JSON.stringify(localStorage)")
            await page.reload()
            await is_live(page)  # the tab still has it
        # Another token from now on: it notices, and asks again.
        async with gateway(kafka, port, SHOP, token="second-token"):
            await expect(page.locator("#login")).to_be_visible()
            await page.get_by_label("Token").fill("second-token")
            await page.keyboard.press("Enter")
            await is_live(page)
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.locator("#login")).to_be_visible()
