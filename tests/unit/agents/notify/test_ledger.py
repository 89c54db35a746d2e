"""What is known of a delivery from its steps."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agents.letters import Source
from agents.notify.delivery import Delivery, idempotency_key, ledger_key
from agents.notify.ledger import fold, read_to
from tests.kit.notify import alert

SOURCE = Source("alerts", 0, 5, b"k", b"v")


def folded(*steps: tuple[str, str, int, bool]):
    delivery = Delivery(alert(), SOURCE, "ops", "slack", 0)
    entry = None
    for n, (outcome, reason, attempt, repeat) in enumerate(steps):
        delivery.attempt, delivery.repeat = attempt, repeat
        entry = fold(entry, delivery.note(outcome, reason, 1000.0 + n))
    return entry


def test_an_intent_without_an_outcome_may_have_arrived():
    """After a crash nobody knows whether the message left."""
    entry = folded(("intent", "first", 1, False))
    assert entry.may_have_arrived
    assert not entry.final
    assert entry.since == 1000.0


def test_a_refusal_did_not_arrive():
    """An attempt that was answered with an error is no repeat."""
    entry = folded(("intent", "first", 1, False), ("failed", "http_503", 1, False))
    assert not entry.may_have_arrived
    assert entry.attempt == 1


def test_once_in_doubt_always_in_doubt():
    """A timeout stays a possible delivery, however the later attempts end."""
    entry = folded(
        ("intent", "first", 1, False),
        ("failed", "timeout", 1, False),
        ("intent", "may_have_arrived", 2, True),
        ("failed", "http_503", 2, True),
    )
    assert entry.may_have_arrived
    assert entry.since == 1000.0
    assert folded(("intent", "first", 1, False), ("failed", "timeout", 1, False)).may_have_arrived


def test_an_outcome_stays():
    """An intent that a dead process got through late does not undo an outcome."""
    entry = folded(("intent", "first", 1, False), ("delivered", "ok", 1, False), ("intent", "first", 1, False))
    assert entry.final
    assert entry.outcome == "delivered"


def test_what_quiet_hours_withheld_is_told_under_the_same_key():
    """It is final until its telling begins; retries count from there, and any other reason to skip stays final."""
    quiet = ("skipped", "preference_quiet_hours", 0, False)
    kept = folded(quiet, quiet)
    assert (kept.final, kept.withheld, kept.late) == (True, True, False)
    begun = folded(quiet, ("intent", "quiet_hours_over", 1, False))
    assert (begun.final, begun.withheld, begun.late, begun.since, begun.may_have_arrived) == (
        False, False, True, 1001.0, True,
    )  # fmt: skip
    failed = folded(quiet, ("intent", "quiet_hours_over", 1, False), ("failed", "http_503", 1, False))
    assert (failed.late, failed.may_have_arrived, failed.since) == (True, False, 1001.0)
    done = folded(quiet, ("intent", "quiet_hours_over", 1, False), ("delivered", "ok", 1, False), quiet)
    assert (done.final, done.outcome, done.late) == (True, "delivered", True)
    assert folded(("skipped", "preference_muted", 0, False), ("intent", "first", 1, False)).outcome == "skipped"


def test_keys_tell_deliveries_apart():
    """Each receiver, channel, integration and transition has its own key, fit for a header."""
    keys = {
        ledger_key("a", n, r, c, i) for n in (1, 2) for r in ("x", "ÿ\n") for c in ("slack", "email") for i in (0, 1)
    }
    assert len({idempotency_key(k) for k in keys}) == 16
    assert all(idempotency_key(k).isalnum() and len(idempotency_key(k)) == 32 for k in keys)


class Slow:
    """A consumer to which half a minute passes with each fetch, of one record or of none, by its loop's clock."""

    def __init__(self, monkeypatch, *fetches: int) -> None:
        self.fetches, self.at, self.passed = list(fetches), 0, 0.0
        loop = asyncio.get_running_loop()
        clock = loop.time
        monkeypatch.setattr(loop, "time", lambda: clock() + self.passed)

    async def position(self, _tp) -> int:
        return self.at

    async def getmany(self, **_):
        self.passed += 30.0
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        found = [SimpleNamespace(offset=self.at + n) for n in range(self.fetches.pop(0))]
        self.at += len(found)
        return {"tp": found}


async def test_weeks_of_records_take_as_long_as_they_take(monkeypatch):
    """Two minutes for four fetches are no failure where a minute without a record would be one."""
    found = [r.offset async for r in read_to(Slow(monkeypatch, 1, 1, 1, 1), "tp", 4, 60.0)]
    assert found == [0, 1, 2, 3]


async def test_silence_is_a_failure(monkeypatch):
    """Behind somebody else's open transaction nothing comes: that is told, and the channel starts again."""
    with pytest.raises(TimeoutError):
        assert not [r async for r in read_to(Slow(monkeypatch, *[0] * 9), "tp", 4, 60.0)]
