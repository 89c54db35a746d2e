"""A real Chromium for tests of the page."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.kit.role import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

# Every element with text of its own whose contrast with what lies behind it is too low: WCAG 2.2, 1.4.3.
LOW_CONTRAST = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
    return [255, 255, 255, 1];
  };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest(".sr-only, .skip")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [luminance(parse(e instanceof SVGElement ? style.fill : style.color)), luminance(ground(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(`${e.tagName}.${e.getAttribute("class")} "${e.textContent.slice(0, 30)}" ${contrast.toFixed(2)}`);
  }
  return bad;
}"""


def chromium() -> str:
    """Path of Chromium. Without one the test is skipped, or fails where PROBESTREAM_REQUIRE_ALL is 1."""
    named = os.environ.get("PROBESTREAM_CHROMIUM")
    path = named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium on this machine: install it, or name its path in PROBESTREAM_CHROMIUM"
        if os.environ.get("PROBESTREAM_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Chromium, closed at the end."""
    path = chromium()
    expect.set_options(timeout=1000 * PATIENCE_S)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=2000 * PATIENCE_S)
        try:
            yield browser
        finally:
            await browser.close()


class Complaints(list[str]):
    """What a page complained of: errors of its scripts and refusals by its content security policy."""

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        # Answers with an error status are no fault of the page's; whether it copes is what tests look at.
        if (
            message.type == "error"
            and "Failed to load resource" not in message.text
            and "WebSocket" not in message.text
        ):
            self.append(message.text)


async def new_page(browser: Browser, complaints: Complaints, **options: Any) -> Page:
    """A tab of its own, as a new visitor has it."""
    context: BrowserContext = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(1000 * PATIENCE_S)
    page = await context.new_page()
    complaints.watch(page)
    return page
