"""The page's targets in a real Chromium, on the real gateway, on real Kafka."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from agents.probe.settings import Target
from streams.units import now_ms
from tests.kit.browser import Complaints, new_page
from tests.kit.page import API, SHOP, card, containing, gateway, http, is_live, tell
from tests.kit.ports import free_port
from tests.kit.records import alert, health, rollup, writer
from tests.kit.role import until

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from streams.kafka import KafkaSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_targets_and_their_status(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Every target is shown with its status in words, unhealthy first, and changes as it is checked."""
    now = now_ms()
    async with writer(kafka) as out, gateway(kafka, free_port(), API, SHOP, http("new one")) as url:
        await tell(
            out, url,
            health("api", latency_ms=12.0, count_1h=120.0, errors_1h=0.0, labels=API.all_labels),
            health("shop", "unhealthy", latency_ms=812.0, error_rate=0.4, count_1h=120.0, errors_1h=9.0,
                   message="[STATUS] == 200 is false: 503", labels=SHOP.all_labels),
            rollup(now - now % 10_000 - 60_000, {"shop": (4.0, 1.0, 900.0), "api": (4.0, 0.0, 48.0)}),
        )  # fmt: skip
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        await expect(page.locator("#overall")).to_have_text("1 target unhealthy")
        await expect(page.locator(".card .card-name")).to_have_text(["shop", "new one", "api"])
        await expect(card(page, "shop")).to_contain_text("Unhealthy")
        await expect(card(page, "shop")).to_contain_text("812 ms")
        await expect(card(page, "shop")).to_contain_text("92.5 %")
        await expect(card(page, "shop")).to_contain_text("[STATUS] == 200 is false: 503")
        await expect(card(page, "new one")).to_contain_text("Not checked yet")
        await expect(card(page, "new one")).to_contain_text("Waiting for its first check.")
        await expect(card(page, "shop").locator(".chart-svg")).to_have_attribute(
            "aria-label", containing("latency: now 300 ms")
        )
        await expect(card(page, "shop").locator(".chart-svg")).to_have_attribute(
            "aria-label", containing("error rate: now 25 %")
        )

        await out.write(health("shop", latency_ms=44.0, labels=SHOP.all_labels))
        await expect(page.locator("#overall")).to_contain_text("All checked systems healthy")
        await expect(card(page, "shop")).to_contain_text("44 ms")
        await expect(page.locator(".card .card-name")).to_have_text(["new one", "api", "shop"])


async def test_finding_a_target_by_keyboard(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Filters by status, name and label; opens, reads and closes the details without a mouse; a link leads there."""
    now = now_ms()
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP, API) as url:
        await tell(
            out, url,
            health("shop", "unhealthy", labels=SHOP.all_labels), health("api", labels=API.all_labels),
            rollup(now - now % 10_000 - 60_000, {"shop": (1.0, 0.0, 250.0)}), alert("a1", 2),
        )  # fmt: skip
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        names = page.locator(".card:visible .card-name")
        await page.get_by_label("Filter targets by name or label").fill("team=core")
        await expect(names).to_have_text(["api"])
        await page.get_by_label("Filter targets by name or label").fill("nothing of the kind")
        await expect(page.locator(".notice")).to_contain_text("No target matches")
        await page.get_by_role("button", name="Show all").click()
        await expect(names).to_have_text(["shop", "api"])
        await page.locator('.chip[data-status="unhealthy"]').click()
        await expect(names).to_have_text(["shop"])

        await names.first.focus()
        await page.keyboard.press("Enter")
        sheet = page.locator("#sheet")
        await expect(sheet).to_be_visible()
        await expect(sheet.locator(".history")).to_contain_text("shop is down")
        await expect(sheet.locator(".chart-svg")).to_have_attribute("aria-label", containing("250 ms"))
        await sheet.locator(".chart").focus()
        await page.keyboard.press("ArrowLeft")
        await expect(sheet.locator(".chart-tip")).to_contain_text("latency 250 ms")
        link = page.url
        assert link.endswith("#/target/shop")
        await page.keyboard.press("Escape")
        await expect(sheet).to_be_hidden()
        await until(lambda: "#" not in page.url)

        second = await new_page(browser, complaints)
        await second.goto(link)
        await expect(second.locator("#sheet-title")).to_have_text("shop")


async def test_a_host_shows_its_cpu_from_the_start(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """A host's card draws the last hour of its cpu as soon as it is shown, also where its first check comes later."""
    local = Target.model_validate({"name": "local", "every": "1h", "host": {}})
    fresh = Target.model_validate({"name": "fresh", "every": "1h", "host": {}})
    now = now_ms()
    panes = [now - now % 10_000 - 10_000 * i for i in range(1, 300)]
    async with writer(kafka) as out, gateway(kafka, free_port(), local, fresh) as url:
        for i, start in enumerate(panes):
            cpu = 35 + 20 * math.sin(i / 30)
            made = rollup(start, {"local": (1, 0, 0.2)})
            made.target, made.metric = ["local", "local", "fresh"], ["", "cpu.used_percent", "cpu.used_percent"]
            for column in (made.count, made.value_count):
                column[:] = [1.0, 1.0, 1.0]
            made.errors[:] = [0.0, 0.0, 0.0]
            made.value_sum[:] = made.value_min[:] = made.value_max[:] = [0.2, cpu, 61.0]
            await out.write(made)

        async def known() -> bool:
            answer = await (await page.request.get(f"{url}api/targets/local/series?minutes=60")).json()
            return sum(p["count"] for p in answer["points"]) == len(panes)

        async def whole(name: str) -> bool:
            return (await card(page, name).locator(".chart-line").get_attribute("d")).count("L") > 80

        page = await new_page(browser, complaints)
        await until(known)
        await tell(out, url, health("local", metrics={"cpu.used_percent": 35.0}, labels=local.all_labels))
        await page.goto(url)
        await is_live(page)
        line = card(page, "local").locator(".chart-svg")
        await expect(line).to_have_attribute("aria-label", containing("cpu: now 35"))
        # The hour's line, and not only the one check that came live.
        await until(lambda: whole("local"))

        await expect(card(page, "fresh")).to_contain_text("Not checked yet")
        await out.write(health("fresh", metrics={"cpu.used_percent": 61.0}, labels=fresh.all_labels))
        await expect(card(page, "fresh").locator(".chart-svg")).to_have_attribute(
            "aria-label", containing("cpu: now 61")
        )
        await until(lambda: whole("fresh"))


async def test_checking_now(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """The refresh button turns while it checks, and says whom it had no answer from."""
    async with gateway(kafka, free_port(), SHOP) as url:
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        answered = asyncio.Event()

        async def later(route):
            await answered.wait()
            await route.continue_()

        await page.route("**/api/health/check", later)
        await page.click("#refresh")
        await expect(page.locator("#refresh")).to_have_attribute("aria-busy", "true")
        answered.set()
        await expect(page.locator("#toasts")).to_contain_text("No answer in time from shop")
        await expect(page.locator("#refresh")).not_to_have_attribute("aria-busy", "true")


async def test_nothing_to_show(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Says how to add a target where there is none; says what went wrong, and tries again, where it has no data."""
    async with gateway(kafka, free_port()) as url:
        page = await new_page(browser, complaints)
        await page.goto(url)
        await expect(page.locator(".notice")).to_contain_text("Nothing is watched yet")
        await expect(page.locator(".notice pre")).to_contain_text("targets:")
        broken = {"success": False, "error": {"code": "not_ready", "message": "the gateway is still reading the log"}}
        await page.route("**/api/targets", lambda route: route.fulfill(status=503, json=broken))
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("the gateway is still reading the log")
        await page.unroute("**/api/targets")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator(".notice")).to_contain_text("Nothing is watched yet")
        await is_live(page)


async def test_hundreds_of_targets(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """With 400 targets only those in sight are fetched and drawn, through a burst of updates."""
    targets = [http(f"account-{i:03}") for i in range(400)]
    async with writer(kafka) as out, gateway(kafka, free_port(), *targets) as url:
        # Their order is settled before the page opens: cards that change places come into sight and are drawn.
        await out.write(*(health(t.name, latency_ms=5.0) for t in targets))
        page = await new_page(browser, complaints)
        fetched: list[str] = []
        page.on("request", lambda request: fetched.append(request.url) if "/series" in request.url else None)

        async def settled() -> bool:
            answer = await (await page.request.get(f"{url.rstrip('/')}/api/targets")).json()
            return all(t["status"] == "healthy" for t in answer["targets"])

        await until(settled)
        await page.goto(url)
        await is_live(page)
        await expect(page.locator(".card[data-target]")).to_have_count(400)
        await until(lambda: len(fetched) >= 6)
        for round_ in range(3):
            for start in range(0, 400, 100):
                await out.write(*(health(t.name, latency_ms=10.0 + round_) for t in targets[start : start + 100]))
        await expect(page.locator('.chip[data-status="healthy"] .chip-count')).to_have_text("400")
        await expect(card(page, "account-001")).to_contain_text("12 ms")
        assert len(fetched) < 150, "series of cards out of sight were fetched"
        assert await page.locator(".card .chart").count() < 150, "cards out of sight were drawn"
        await card(page, "account-399").scroll_into_view_if_needed()
        await expect(card(page, "account-399")).to_contain_text("12 ms")
