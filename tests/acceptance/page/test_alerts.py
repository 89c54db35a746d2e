"""The page's alerts in a real Chromium, on the real gateway, on real Kafka."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from streams.topics import CONTROL
from streams.units import now_ms
from tests.kit.browser import Complaints, new_page
from tests.kit.page import API, SHOP, containing, gateway, is_live, tell
from tests.kit.ports import free_port
from tests.kit.reader import reading
from tests.kit.records import alert, notification, writer

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from streams.kafka import KafkaSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_alert_appears_live_once_and_goes_when_resolved(
    kafka: KafkaSettings, browser: Browser, complaints: Complaints
):
    """An alert appears without a reload, exactly once; the bell counts it, is read when opened; resolved, it goes."""
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP, API) as url:
        await tell(
            out,
            url,
            alert("done", 3, "resolved", rule="cpu", at=now_ms() - 9e6, annotations={"summary": "cpu was high"}),
            alert("old", rule="slow", target="api", severity="warning", annotations={"summary": "api is slow"}),
        )
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        await expect(page.locator(".alert")).to_have_count(1)
        await expect(page.locator("#bell .badge")).to_be_hidden()
        await page.evaluate("window.sameVisit = true")

        await out.write(
            alert("a1", 1, "pending", fired=None),
            alert("a1", 2, "firing", metric="error_rate", operator=">", threshold=0.05, value=0.4),
        )
        shown = page.locator('.alert[data-alert="a1"]')
        await expect(shown).to_contain_text("shop is down")
        await expect(shown).to_contain_text("critical")
        await expect(shown).to_contain_text("error rate 40 % (alerts at > 5 %)")
        await expect(page.locator("#bell .badge")).to_have_text("1")
        await expect(page.locator("#announcer")).to_contain_text("critical alert: shop is down")
        await expect(page).to_have_title(containing("(1)"))
        await out.write(alert("a2", rule="slow", severity="warning", annotations={"summary": "shop is slow"}))
        await expect(page.locator("#bell .badge")).to_have_text("2")
        # The same record again, as after a restart of its writer: nothing new.
        await out.write(alert("a2", rule="slow", severity="warning", annotations={"summary": "shop is slow"}))
        await out.write(alert("a3", rule="other", severity="info", annotations={"summary": "last"}))
        await expect(page.locator(".alert .alert-summary")).to_have_text(
            ["shop is down", "shop is slow", "api is slow", "last"]
        )
        await expect(page.locator("#bell .badge")).to_have_text("3")

        await page.click("#bell")
        await expect(page.locator(".bell-list strong")).to_have_text(
            ["last", "shop is slow", "shop is down", "api is slow", "cpu was high"]
        )
        await expect(page.locator(".bell-list li.is-unread")).to_have_count(3)
        await expect(page.locator("#bell .badge")).to_be_hidden()
        await page.keyboard.press("Escape")

        await out.write(alert("a1", 3, "resolved", resolved=now_ms()))
        await expect(shown).to_have_count(0)
        await expect(page.locator("#bell .badge")).to_have_text("1")
        assert await page.evaluate("window.sameVisit"), "the page was loaded anew"
        await page.reload()
        await is_live(page)
        await expect(page.locator("#bell .badge")).to_have_text("1")


async def test_acknowledging_in_place(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """The button writes one acknowledgement with name and comment; the page shows it at once, and then who it was."""
    port = free_port()
    async with writer(kafka) as out, reading(kafka, CONTROL) as log, gateway(kafka, port, SHOP) as url:
        given = alert("a1", 2, "firing"), alert("b2", 2, "firing", rule="slow"), notification("a1", number=2)
        await tell(out, url, *given)
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        shown = page.locator('.alert[data-alert="a1"]')
        await shown.get_by_role("button", name="Acknowledge").click()
        await page.keyboard.type("on it")
        await shown.get_by_label("Your name").fill("ada")
        await page.keyboard.press("Enter")
        await expect(shown).to_contain_text("Acknowledged…")  # before any answer: nobody has taken it up yet
        await log.wait(CONTROL, 1)
        await out.write(alert("a1", 3, "acknowledged", actor="ada", comment="on it"))
        await expect(shown).to_contain_text("Acknowledged by ada: on it")
        await expect(shown.get_by_role("button", name="Acknowledge")).to_be_hidden()
        (record,) = log[CONTROL]
        assert (record.kind, record.id, record.actor) == ("ack", "a1", "ada")
        assert json.loads(record.body)["comment"] == "on it"

        await shown.get_by_role("button", name="Details").click()
        sheet = page.locator("#sheet")
        await expect(sheet.locator(".timeline li")).to_have_count(2)
        await expect(sheet.locator(".timeline")).to_contain_text("on it")
        await expect(sheet.locator(".told")).to_contain_text("ops by slack")
        await expect(sheet.locator(".told")).to_contain_text("delivered")
        await page.keyboard.press("Escape")

        # No alert role answers for this one: it says that it waits, and offers no second button.
        other = page.locator('.alert[data-alert="b2"]')
        await other.get_by_role("button", name="Acknowledge").click()
        await page.keyboard.press("Enter")
        await expect(other).to_contain_text("waiting for it to be taken up")
        await out.write(alert("b2", 3, "acknowledged", rule="slow", actor="ada"))
        await expect(other).to_contain_text("Acknowledged by ada")

        await page.route("**/acknowledge", lambda route: route.fulfill(
            status=503, json={"success": False, "error": {"code": "kafka_unavailable", "message": "Kafka does not answer"}}))  # fmt: skip
        await out.write(alert("c3", 2, "firing", rule="third"))
        third = page.locator('.alert[data-alert="c3"]')
        await third.get_by_role("button", name="Acknowledge").click()
        await page.keyboard.press("Enter")
        await expect(third).to_contain_text("Not acknowledged: Kafka does not answer.")
        await expect(third.get_by_role("button", name="Acknowledge")).to_be_visible()


async def test_why_nobody_is_told(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Each alert says who has it in hand, what keeps it quiet and until when, and what it takes down."""
    port = free_port()
    seen = {"holds": True, "count": 5.0, "window_s": 60.0}
    async with writer(kafka) as out, gateway(kafka, port, SHOP) as url:
        await tell(
            out, url,
            alert("quiet", 3, "suppressed", reason="silenced", by="deploy-4711", until=now_ms() + 3_600_000),
            alert("later", 3, "snoozed", reason="snoozed", actor="ada", comment="tomorrow", until=now_ms() + 3_600_000),
            alert("loud", 3, "escalated", reason="not_acknowledged_in_time", step=2, receivers=["boss", "cto"]),
            alert("jumpy", 3, "flapping", reason="flapping"),
            alert(
                "host", 2, "firing", annotations={"summary": "host is down", "takes_down": "2: api, shop"},
                conditions=[
                    {"text": "up == 0", "value": 0.0, "threshold": 0.0, **seen},
                    {"text": "mean latency over 1m > 100", "value": None, "threshold": 100.0, **seen, "holds": None},
                ],
            ),
            alert("below", 2, "suppressed", reason="cause_down", by="host"),
            alert("group", 2, "firing", target="group:all", members=["a", "b"], member_count=2, member_total=3),
        )  # fmt: skip
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        await page.get_by_role("button", name="Show all").click()

        def shown(name: str) -> Any:
            return page.locator(f'.alert[data-alert="{name}"]')

        await expect(shown("quiet")).to_contain_text(
            "A silence matches it: it is watched, and nobody is told. (deploy-4711 until"
        )
        await expect(shown("later")).to_contain_text("Snoozed by ada until")
        await expect(shown("later")).to_contain_text(": tomorrow")
        await expect(shown("loud")).to_contain_text("Nobody acknowledged it in time: step 2, also told: boss, cto")
        await expect(shown("jumpy")).to_contain_text("It comes and goes, so it is told once")
        await expect(shown("host")).to_contain_text("takes down 2: api, shop")
        await expect(shown("below")).to_contain_text("depends on is down, and that is told. (down on shop)")
        await expect(shown("group")).to_contain_text("2 of 3 targets")
        for name in ("host", "group"):
            await expect(shown(name).locator(".alert-comment")).to_be_hidden()
        await shown("host").get_by_role("button", name="Details").click()
        facts = page.locator("#sheet .facts")
        await expect(facts).to_contain_text("2: api, shop")
        await expect(facts).to_contain_text("up == 0: 0, holds")
        await expect(facts).to_contain_text("mean latency over 1m > 100: no value, not known")
        await page.keyboard.press("Escape")
        await shown("quiet").get_by_role("button", name="Details").click()
        await expect(page.locator("#sheet .timeline")).to_contain_text("A silence matches it")
        await expect(page.locator("#sheet .timeline")).to_contain_text("by deploy-4711")
