"""What keeps an alert from being told, and what is owed once it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from streams.life.transitions import settle

if TYPE_CHECKING:
    from streams.life.life import Life


class Quiet(Protocol):
    """Why an alert is not to be told, by whom, and when to ask again at the latest."""

    @property
    def reason(self) -> str: ...

    @property
    def by(self) -> str: ...

    @property
    def until(self) -> float | None: ...


Verdict = Callable[["Life", float], Quiet | None]


def never(_life: Life, _now: float) -> Quiet | None:
    """Nothing is ever kept quiet."""
    return None


def keep_quiet(life: Life, quiet: Quiet | None) -> None:
    """Remember what keeps it quiet now."""
    life.quiet = None if quiet is None else {"reason": quiet.reason, "by": quiet.by, "until": quiet.until}


def hush(life: Life, quiet: Quiet | None, now: float) -> None:
    """Quiet begins, ends, or is another's; what it hid is owed, unless somebody has it in hand."""
    before = life.quiet
    keep_quiet(life, quiet)
    if quiet is not None and before is None:
        start_over(life)
        settle(life, quiet.reason, now)
    elif quiet is None and before is not None:
        settle(life, "suppression_over", now)
    elif quiet is not None and before is not None and (quiet.reason, quiet.by) != (before["reason"], before["by"]):
        settle(life, quiet.reason, now, record=not life.hand)


def start_over(life: Life) -> None:
    """The next telling is a first one: the escalation begins anew."""
    life.owed, life.asked, life.step = life.hand != "acknowledged", None, 0
