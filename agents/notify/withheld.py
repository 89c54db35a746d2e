"""Pages that quiet hours keep back in one partition, until they are over. Pure.

```
 alerts/p ─▶ plan: quiet hours ─▶ skipped (preference_quiet_hours) ─▶ kept ─▶ quiet no more, still fires ─▶ told late
                                                                       └────▶ resolved, or told otherwise: let go
```
Told late is a delivery under the ledger key of the page itself: intent, message, outcome. There is no state but the
ledger's `skipped`, and a mark beside the group's offset, in its metadata and its transaction: from which record on
pages are kept. Whoever takes over reads `alerts` from the mark to the offset, and the ledger from the mark's time.

| it dies | the next owner finds | and does |
|---|---|---|
| before `skipped` is written | nothing | plans the record anew: keeps the page, or tells it |
| after it | `skipped`, and the mark | keeps the page; tells it once it has read all records, if it fires then |
| after the intent, or the message | an intent without an outcome | sends, `repeat: true`, whatever is wished by then |
| while waiting to try again | `failed` | tries again |
| after the outcome's transaction, which moves the mark on | an outcome | nothing |
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from streams.life import ENDED, LOUD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agents.letters import Source
    from schemas import Alert

Integration = tuple[str, int]
"""A receiver's name, and which of its integrations."""
_WORD = "withheld"
_CEASED = frozenset({"verifying_recovery", "good_sample", "not_judged_any_more", "ceased_while_flapping"})
_HOLDS_AGAIN = frozenset({"held_again", "held_again_while_flapping"})


class Mark(NamedTuple):
    """A record of `alerts`: its offset, and its time (milliseconds since the Unix epoch, UTC)."""

    offset: int
    time: int

    @property
    def text(self) -> str:
        """As it stands beside the group's offset."""
        return f"{_WORD}:{self.offset}:{self.time}"


def mark_of(text: str) -> Mark | None:
    """The mark that stands beside a group's offset; None where nothing does, or something of somebody else's."""
    word, *numbers = text.split(":")
    if word != _WORD or len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
        return None
    return Mark(int(numbers[0]), int(numbers[1]))


@dataclass(slots=True)
class Page:
    """The latest page kept from an integration; `mark` and `since` (ms) are those of the first since it was told."""

    mark: Mark
    since: float
    number: int
    source: Source
    under_way: bool = False
    following: Page | None = None
    """Kept while this one is under way: quiet hours began again."""


class Withheld:
    """The pages kept back. Until `restored` is called the mark stays the one that was found."""

    def __init__(self, found: Mark | None = None) -> None:
        self._found = found
        self._pages: dict[str, dict[Integration, Page]] = {}
        self._latest: dict[str, tuple[Alert, bool]] = {}

    def __contains__(self, alert_id: str) -> bool:
        """Whether a page of this alert is kept."""
        return alert_id in self._pages

    def restored(self) -> None:
        """All that the mark led to is kept by now."""
        self._found = None

    def mark(self) -> Mark | None:
        """From which record on pages are kept, those under way included; None where none is."""
        if self._found is not None:
            return self._found
        return min((page.mark for pages in self._pages.values() for page in pages.values()), default=None)

    def keep(self, alert: Alert, source: Source, time: int, integration: Integration) -> Page:
        """Keep a page from an integration, in place of an earlier one of the same alert."""
        pages = self._pages.setdefault(alert.id, {})
        self._latest.setdefault(alert.id, (alert, True))
        page = pages.get(integration)
        if page is not None and page.under_way:
            page.following = Page(Mark(source.offset, time), alert.at, alert.number, source)
            return page.following
        if page is None:
            page = pages[integration] = Page(Mark(source.offset, time), alert.at, alert.number, source)
        page.number, page.source = alert.number, source
        return page

    def saw(self, alert: Alert) -> None:
        """Take in a transition: an alert that is over is told late no more."""
        if alert.id not in self._pages:
            return
        holds = self._latest[alert.id][1]
        if alert.reason in _CEASED:
            holds = False
        elif alert.reason in _HOLDS_AGAIN or (alert.notify and alert.state in LOUD):
            holds = True
        self._latest[alert.id] = alert, holds
        if alert.state in ENDED:
            for integration in list(self._pages[alert.id]):
                self.told(alert.id, integration)

    def told(self, alert_id: str, integration: Integration) -> None:
        """Let go of the page of an integration that is told by another one, or need not be told."""
        page = self._pages.get(alert_id, {}).get(integration)
        if page is not None and page.under_way:
            page.following = None
        elif page is not None:
            self._drop(alert_id, integration)

    def ended(self, alert_id: str, integration: Integration) -> None:
        """A page that was under way has its outcome."""
        page = self._pages.get(alert_id, {}).get(integration)
        if page is not None and page.following is not None:
            self._pages[alert_id][integration] = page.following
        elif page is not None:
            self._drop(alert_id, integration)

    def under_way(self, alert_id: str) -> set[Integration]:
        """The integrations to which a page of an alert is being told late."""
        return {integration for integration, page in self._pages.get(alert_id, {}).items() if page.under_way}

    def due(self, quiet: Callable[[str, str], bool]) -> Iterator[tuple[Alert, Integration, Page]]:
        """The pages to be told now, of alerts that fire, as these are now; `quiet` takes a receiver and a severity."""
        asked = functools.cache(quiet)
        for alert_id, pages in list(self._pages.items()):
            alert, holds = self._latest[alert_id]
            if not holds or alert.state not in LOUD:
                continue
            for integration, page in list(pages.items()):
                if not page.under_way and not asked(integration[0], alert.severity):
                    yield alert, integration, page

    def _drop(self, alert_id: str, integration: Integration) -> None:
        pages = self._pages[alert_id]
        del pages[integration]
        if not pages:
            del self._pages[alert_id], self._latest[alert_id]
