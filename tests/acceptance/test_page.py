"""The page in a real Chromium, on the real gateway, on real Kafka."""

from __future__ import annotations

import json
import math
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from playwright.async_api import expect
from pydantic import SecretStr

from agents.gateway.app import run
from agents.gateway.settings import GatewaySettings
from agents.probe.settings import Target
from streams.topics import CONTROL
from streams.units import now_ms
from tests.kit.browser import LOW_CONTRAST, Complaints, browsing, free_port, new_page
from tests.kit.reader import reading
from tests.kit.records import alert, health, notification, rollup, writer
from tests.kit.role import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from streams.kafka import KafkaSettings

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


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


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as found:
        yield found


@pytest_asyncio.fixture
async def complaints() -> AsyncIterator[Complaints]:
    """Fails the test at its end if a script failed or the content security policy refused anything."""
    found = Complaints()
    yield found
    assert not found


async def is_live(page: Page, timeout: float = 10_000) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=timeout)


def card(page: Page, name: str) -> Any:
    return page.locator(f".card[data-target={json.dumps(name)}]")


async def test_targets_and_their_status(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Every target is shown with its status in words, unhealthy first, and changes as it is checked."""
    now = now_ms()
    async with writer(kafka) as out, gateway(kafka, free_port(), API, SHOP, http("new one")) as url:
        await out.write(
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


async def test_an_alert_appears_live_once_and_goes_when_resolved(
    kafka: KafkaSettings, browser: Browser, complaints: Complaints
):
    """An alert appears without a reload, exactly once; the bell counts it, is read when opened; resolved, it goes."""
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP, API) as url:
        await out.write(
            alert("done", 3, "resolved", rule="cpu", at=now_ms() - 9e6, annotations={"summary": "cpu was high"})
        )
        await out.write(
            alert("old", rule="slow", target="api", severity="warning", annotations={"summary": "api is slow"})
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
        await out.write(alert("a1", 2, "firing"), alert("b2", 2, "firing", rule="slow"), notification("a1", number=2))
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
        await out.write(
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


async def test_a_gateway_that_restarts(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Says that it is disconnected, comes back by itself, shows what it missed, and nothing twice."""
    port = free_port()
    pane = now_ms() // 10_000 * 10_000 - 120_000
    async with writer(kafka) as out:
        page = await new_page(browser, complaints)
        heard: list[dict[str, Any]] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(json.loads(frame))))
        async with gateway(kafka, port, SHOP) as url:
            await out.write(health("shop", latency_ms=10.0), rollup(pane, {"shop": (1.0, 0.0, 10.0)}))
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
            await is_live(page, 40_000)
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
        await expect(page.locator("#overall")).to_have_text("1 target unhealthy", timeout=30_000)
        await expect(page.locator(".alert")).to_have_count(1)
        await expect(page.locator("#bell .badge")).to_have_text("1")


async def test_hostile_names_are_text(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Names, labels, messages and links that hold markup or script are shown as what they are: text."""
    target = http(HOSTILE, labels={"team": HOSTILE})
    async with writer(kafka) as out, gateway(kafka, free_port(), target) as url:
        await out.write(
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
            await expect(page.locator("#login")).to_be_visible(timeout=40_000)
            await page.get_by_label("Token").fill("second-token")
            await page.keyboard.press("Enter")
            await is_live(page)
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.locator("#login")).to_be_visible()


async def test_finding_a_target_by_keyboard(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Filters by status, name and label; opens, reads and closes the details without a mouse; a link leads there."""
    now = now_ms()
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP, API) as url:
        await out.write(
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
    local = Target.model_validate({"name": "local", "every": "10s", "host": {}})
    fresh = Target.model_validate({"name": "fresh", "every": "10s", "host": {}})
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
        await out.write(health("local", metrics={"cpu.used_percent": 35.0}, labels=local.all_labels))
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        line = card(page, "local").locator(".chart-svg")
        await expect(line).to_have_attribute("aria-label", containing("cpu: now 35"))
        # The hour's line, and not only the one check that came live.
        assert (await card(page, "local").locator(".chart-line").get_attribute("d")).count("L") > 80

        await expect(card(page, "fresh")).to_contain_text("Not checked yet")
        await out.write(health("fresh", metrics={"cpu.used_percent": 61.0}, labels=fresh.all_labels))
        await expect(card(page, "fresh").locator(".chart-svg")).to_have_attribute(
            "aria-label", containing("cpu: now 61")
        )
        assert (await card(page, "fresh").locator(".chart-line").get_attribute("d")).count("L") > 80


async def test_checking_now(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """The refresh button turns while it checks, and says whom it had no answer from."""
    async with gateway(kafka, free_port(), SHOP) as url:
        page = await new_page(browser, complaints)
        await page.goto(url)
        await is_live(page)
        await page.click("#refresh")
        await expect(page.locator("#refresh")).to_have_attribute("aria-busy", "true")
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


async def test_small_screens_and_both_schemes(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Fits 360 pixels without scrolling sideways; every text has enough contrast, light and dark."""
    long = http("a-target-with-a-name-that-is-far-too-long-for-any-phone-" * 3, labels={"label": "w" * 90})
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP, API, long) as url:
        await out.write(
            health("shop", "unhealthy", message="x" * 300, metrics={"cpu.used_percent": 97.0, "rate_limit.used": 262.0, "rate_limit.total": 300.0}),
            health("api", "degraded", rules=["slow"]), health(long.name),
            alert("a1", 2, annotations={"summary": "word" * 60}), alert("a2", 2, severity="warning", rule="r" * 80), alert("a3", 2, severity="info"),
        )  # fmt: skip
        for scheme in ("light", "dark"):
            for width in (360, 1280):
                page = await new_page(
                    browser, complaints, viewport={"width": width, "height": 740}, color_scheme=scheme
                )
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                await page.goto(url)
                await is_live(page)
                await expect(page.locator(".alert")).to_have_count(3)
                await card(page, "shop").scroll_into_view_if_needed()
                await expect(card(page, "shop").locator(".bar")).to_have_text(
                    ["rate limit262 of 300 (87.3 %) raised", "cpu97 % high"]
                )
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
                assert await page.evaluate(LOW_CONTRAST) == []
                await card(page, "shop").locator(".card-name").click()
                await expect(page.locator("#sheet .facts")).to_be_visible()
                assert (
                    await page.evaluate(
                        "document.querySelector('.sheet-body').scrollWidth - document.querySelector('.sheet-body').clientWidth"
                    )
                    <= 0
                )
                assert await page.evaluate(LOW_CONTRAST) == []
                await page.context.close()


async def test_the_parts_that_are_arithmetic(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Merging by number, backoff, panes, gaps and formats hold in the browser's own engine."""
    async with gateway(kafka, free_port()) as url:
        page = await new_page(browser, complaints)
        await page.goto(url)
        merged = await page.evaluate("""async () => {
          const { Store } = await import("./js/store.js");
          const a = (id, number, state) => ({ id, number, state, active: state === "firing", severity: "critical",
            at: new Date(1000 * number).toISOString(), fired: "x", target: "t" });
          const store = new Store({ readUpTo: 0 });
          let told = 0;
          store.on("fired", () => (told += 1));
          const late = store.mark();
          const fresh = [a("1", 2, "firing"), a("1", 1, "firing"), a("1", 2, "firing"), a("1", 3, "resolved"), a("2", 2, "firing")]
            .map((x) => store.liveAlert(x));
          store.replaceAlerts([a("1", 2, "firing")], [], late);  // a snapshot older than what came live
          const kept = store.active().map((x) => x.id);
          store.replaceAlerts([], [], store.mark());             // a snapshot that knows better
          return [fresh, told, kept, store.active().length, [...store.unread].sort()];
        }""")
        assert merged == [[True, False, False, True, True], 3, ["2"], 0, ["1"]]
        waits = await page.evaluate(
            "import('./js/live.js').then((m) => [0, 1, 5, 40].map((n) => [m.backoff(n, () => 0), m.backoff(n, () => 1)]))"
        )
        assert waits == [[200, 400], [400, 800], [6400, 12800], [15000, 30000]]
        points = await page.evaluate("""async () => {
          const { appendCheck } = await import("./js/series.js");
          const points = [];
          for (const [at, ok, value] of [[1000, true, 10], [9000, false, 30], [11000, true, 5], [5000, true, 99], [70000, true, null]])
            appendCheck(points, { at, ok, value }, 10000, 60000);
          return points.map((p) => [p.t, p.count, p.rate, p.mean, p.min, p.max]);
        }""")
        assert points == [[10_000, 1, 0, 5, 5, 5], [70_000, 1, 0, None, None, None]]
        runs = await page.evaluate("""import('./js/chart.js').then((m) => {
          const p = (t, mean, errors = 0) => ({ t, mean, errors });
          return [m.runs([p(0, 1), p(10, 1), p(40, 1), p(50, null, 1), p(60, 1), p(70, null), p(75, 1)], (x) => x.mean, 25).map((r) => r.map((x) => x.t)),
            [0, 1, 9, 101, 0.04].map(m.niceTop)];
        })""")
        assert runs == [[[0, 10], [40], [60, 75]], [1, 1, 10, 150, 0.05]]
        texts = await page.evaluate("""import('./js/format.js').then((m) => [m.latency(0.42), m.latency(812.4), m.latency(1240), m.latency(null),
          m.share(0.99999), m.share(1), m.share(0.00001), m.share(0.925), m.duration(59999), m.duration(7800000), m.ago(0, 500), m.ago(null, 1),
          m.metricValue("disk.used_percent", 41.27), m.metricValue("latency", 3.2, "ratio")])""")
        assert texts == [
            "0.42 ms", "812 ms", "1.24 s", "–", "> 99.99 %", "100 %", "< 0.01 %", "92.5 %", "59 s", "2 h 10 min", "just now", "never",
            "41.3 %", "3.2 ×",
        ]  # fmt: skip


def containing(text: str) -> Any:
    """A pattern for Playwright's expectations: `text` somewhere."""
    return re.compile(re.escape(text))
