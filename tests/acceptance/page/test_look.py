"""What the page looks like on any screen, and its arithmetic, in a real Chromium, on the real gateway, on real Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.kit.browser import LOW_CONTRAST, Complaints, new_page
from tests.kit.page import API, SHOP, card, gateway, http, is_live, tell
from tests.kit.ports import free_port
from tests.kit.records import alert, health, writer

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from streams.kafka import KafkaSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_small_screens_and_both_schemes(kafka: KafkaSettings, browser: Browser, complaints: Complaints):
    """Fits 360 pixels without scrolling sideways; every text has enough contrast, light and dark."""
    long = http("a-target-with-a-name-that-is-far-too-long-for-any-phone-" * 3, labels={"label": "w" * 90})
    async with writer(kafka) as out, gateway(kafka, free_port(), SHOP, API, long) as url:
        await tell(
            out, url,
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
          m.metricValue("disk.used_percent", 41.27), m.metricValue("latency", 3.2, "ratio"),
          ...[["latency", "seasonal_change", -9.25], ["error_rate", "surprise", 6], ["disk.used_percent", "forecast", 7200],
              ["latency", "robust", 5]].map(([metric, aggregate, value]) => Object.values(
                m.condition({ metric, aggregate, operator: ">", threshold: value, value })).join(", "))])""")
        assert texts == [
            "0.42 ms", "812 ms", "1.24 s", "–", "> 99.99 %", "100 %", "< 0.01 %", "92.5 %", "59 s", "2 h 10 min", "just now", "never",
            "41.3 %", "3.2 ×", "change for the hour of latency, -9.25, > -9.25", "surprise of error rate, 6, > 6",
            "time left of disk used percent, 2 h, > 2 h", "latency, 5 σ off the usual, > 5 σ",
        ]  # fmt: skip
