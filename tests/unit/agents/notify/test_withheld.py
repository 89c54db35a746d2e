"""Pages that quiet hours keep back."""

from __future__ import annotations

import pytest

from agents.letters import Source
from agents.notify.withheld import Mark, Withheld, mark_of
from tests.kit.notify import alert

ADA, BOB = ("ada", 0), ("bob", 0)


def source(offset: int) -> Source:
    return Source("alerts", 0, offset, b"k", b"v")


def night(kept: Withheld, *steps: tuple[int, str, str]) -> None:
    """Transitions of one alert in quiet hours: offset, state, reason; those that are told are kept from ada."""
    for offset, state, reason in steps:
        tells = reason not in ("good_sample", "acknowledged") and "held_again" not in reason and "veri" not in reason
        one = alert(state, id="a", number=offset, reason=reason, notify=tells)
        kept.saw(one)
        if tells and state != "resolved":
            kept.keep(one, source(offset), 10 * offset, ADA)


def due(kept: Withheld, *quiet: str) -> list[tuple[int, str, tuple[str, int], int]]:
    found = kept.due(lambda receiver, _: receiver in quiet)
    return [(a.number, a.state, integration, page.number) for a, integration, page in found]


def test_the_latest_page_is_told_once_and_the_mark_is_the_first_of_them():
    """While it is quiet, nothing is due; then one page with the number of the latest, until it has its outcome."""
    kept = Withheld()
    night(kept, (3, "firing", "held_at_once"), (5, "escalated", "not_acknowledged_in_time"))
    assert (due(kept, "ada"), due(kept), kept.mark()) == ([], [(5, "escalated", ADA, 5)], Mark(3, 30))
    ((_, _, page),) = kept.due(lambda *_: False)
    page.under_way = True
    assert (due(kept), kept.mark(), kept.under_way("a")) == ([], Mark(3, 30), {ADA})
    kept.ended("a", ADA)
    assert (kept.mark(), "a" in kept) == (None, False)


@pytest.mark.parametrize(
    ("then", "is_due"),
    [
        ((("firing", "verifying_recovery"),), False),
        ((("firing", "verifying_recovery"), ("firing", "good_sample")), False),
        ((("firing", "verifying_recovery"), ("firing", "held_again")), True),
        ((("flapping", "flapping"), ("flapping", "ceased_while_flapping")), False),
        ((("acknowledged", "acknowledged"),), False),
        ((("acknowledged", "acknowledged"), ("firing", "no_longer_acknowledged")), True),
        ((("resolved", "rule_ceased"),), False),
    ],
)
def test_only_what_fires_and_holds_is_told(then, is_due):
    """Not what somebody has in hand, what is over, or what has ceased and may be back: that is told once it is."""
    kept = Withheld()
    night(kept, (1, "firing", "held_at_once"), *((2 + n, *step) for n, step in enumerate(then)))
    assert bool(due(kept)) == is_due
    assert ("a" in kept) == (then[-1][0] != "resolved")


def test_whoever_is_told_otherwise_is_not_told_late():
    """Each integration for itself; the mark moves on to the oldest page that is left."""
    kept, one = Withheld(), alert(id="a")
    kept.keep(one, source(1), 10, ADA)
    kept.keep(one, source(2), 20, BOB)
    kept.told("a", ADA)
    assert ([d[2] for d in due(kept)], kept.mark()) == ([BOB], Mark(2, 20))
    kept.told("b", ADA)


def test_a_page_under_way_comes_to_its_end_and_is_followed_by_a_newer_one():
    """What resolves meanwhile is still under way, and the mark stays; what quiet hours withhold meanwhile is kept."""
    kept = Withheld()
    night(kept, (1, "firing", "held_at_once"))
    next(kept.due(lambda *_: False))[2].under_way = True
    night(kept, (4, "firing", "reminder"))
    assert (due(kept), kept.mark()) == ([], Mark(1, 10))
    kept.ended("a", ADA)
    assert (due(kept), kept.mark()) == ([(4, "firing", ADA, 4)], Mark(4, 40))
    next(kept.due(lambda *_: False))[2].under_way = True
    night(kept, (5, "firing", "reminder"), (6, "resolved", "rule_ceased"))
    assert (kept.under_way("a"), kept.mark()) == ({ADA}, Mark(4, 40))
    kept.ended("a", ADA)
    assert kept.mark() is None


def test_the_mark_that_was_found_stays_until_all_is_kept_again():
    """A commit while the pages are read again must not move it on."""
    kept = Withheld(Mark(7, 70))
    assert kept.mark() == Mark(7, 70)
    kept.restored()
    assert kept.mark() is None


def test_a_mark_is_read_back_and_what_is_none_is_passed_over():
    """Beside the offset may stand nothing, or what another tool has written."""
    assert mark_of(Mark(12, 1_763_700_000_000).text) == Mark(12, 1_763_700_000_000)
    assert [mark_of(t) for t in ("", "withheld", "withheld:1", "withheld:x:1", "other:1:2", "withheld:1:2:3")] == [
        None
    ] * 6
