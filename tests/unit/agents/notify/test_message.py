"""The words of a message."""

from __future__ import annotations

from agents.notify.message import late, link_of, message_of, number, one_line
from tests.kit.notify import alert


def test_values_carry_the_unit_that_the_metric_names():
    """Rates are per cent, times and sizes have their unit, and a missing value is nothing."""
    assert number(0.0523, "error_rate") == "5.23 %"
    assert number(1234.5, "latency_ms") == "1234 ms"
    assert number(91.25, "cpu_percent") == "91.25 %"
    assert number(1_234_567, "queue") == "1,234,567"
    assert number(None, "error_rate") == ""


def test_a_firing_and_its_resolved_differ_in_word_and_colour():
    """The state is in the title, and green means over."""
    firing, resolved = message_of(alert(), None), message_of(alert("resolved", annotations={}), None)
    assert firing.title == "[FIRING] error-rate on shop"
    assert firing.colour == "#d32f2f"
    assert resolved.colour == "#2e7d32"
    assert resolved.summary == "error-rate no longer holds for shop."
    assert dict(resolved.fields)["Lasted"] == "1m"


def test_without_a_summary_the_numbers_speak():
    """A rule without annotations still gives a sentence."""
    assert message_of(alert(annotations={}), None).summary == "mean error_rate of shop is 50 % (> 5 %)."


def test_the_alert_of_a_cause_says_what_falls_with_it():
    """Count and names are in the summary, which every channel shows, whatever the rule's own summary is."""
    down = {"takes_down": "9: api, cart"}
    assert message_of(alert(annotations=down | {"summary": "host is down."}), None).summary == (
        "host is down; takes down 9: api, cart"
    )
    assert message_of(alert(annotations=down), None).summary.endswith("(> 5 %); takes down 9: api, cart")


def test_a_page_that_comes_late_says_since_when_it_was_withheld():
    """The alert as it is now, under the number of the page that was withheld."""
    told = late(alert("escalated"), 1, 1_763_766_245_000.0)
    assert (told.number, told.state) == (1, "escalated")
    assert message_of(told, None).summary == (
        "Half of all requests fail; withheld in quiet hours since 2025-11-21 23:04:05 UTC"
    )


def test_the_link_leads_to_the_alert():
    """Whatever is in an id cannot leave its place in the address."""
    assert link_of(alert(id="a/b?c#d"), "https://x.test/") == "https://x.test/#/alert/a%2Fb%3Fc%23d"
    assert link_of(alert(), None) == ""


def test_a_title_is_one_line():
    """No target's name can add a header or a second line."""
    assert message_of(alert(target="a\r\nBcc: x@y\x00z"), None).title == "[FIRING] error-rate on a Bcc: x@y z"
    assert len(one_line("x" * 1000)) == 200
