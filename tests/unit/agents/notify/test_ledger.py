"""What is known of a delivery from its steps."""

from __future__ import annotations

from agents.letters import Source
from agents.notify.delivery import Delivery, idempotency_key, ledger_key
from agents.notify.ledger import fold
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
