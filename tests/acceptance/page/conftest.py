"""A browser for the tests of a file, and what it complains of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.kit.browser import Complaints, browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browsing() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """Without pages; those of the test are closed at its end."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails the test at its end if a script failed or the content security policy refused anything."""
    found = Complaints()
    yield found
    assert not found
