"""People are told what they want to be told of, and whatever was withheld is on record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.notify.settings import Receiver
from streams.control_client import ControlClient
from streams.routing import Route
from tests.kit import receivers as kit
from tests.kit.notify import alert, ledger_until, outcomes, process, running, send
from tests.kit.role import until

ROUTE = Route(receiver="ada")


@pytest.fixture
async def control(kafka):
    client = ControlClient(kafka, "test")
    yield client
    await client.close()


@pytest.fixture
async def slack():
    async with kit.SlackServer() as server:
        yield server


def ada(slack) -> Receiver:
    return Receiver.model_validate({"name": "ada", "slack_configs": [{"api_url": slack.url}]})


def said(steps) -> list[tuple[str, str, str]]:
    return [(s.state, s.outcome, s.reason) for s in sorted(outcomes(steps), key=lambda s: s.at)]


async def wish(control, **body):
    await control.change("preference", "ada", body, None, "ada")


async def until_in_force(kafka, reason: str, **changes):
    """New alerts until one of them ends as `reason`: a change comes to whoever tells without being asked for."""
    seen = []

    async def once():
        one = alert(**changes)
        await send(kafka, one)
        steps = await ledger_until(kafka, lambda s: any(o.alert_id == one.id for o in outcomes(s)))
        seen.extend(o for o in outcomes(steps) if o.alert_id == one.id)
        return seen[-1].reason == reason

    await until(once)
    return seen[-1]


async def test_a_withheld_page_is_on_record_with_whose_wish_it_was(kafka, control, slack):
    """Below the least severity nothing is sent, and the ledger says why; a change reaches a running role."""
    await wish(control, least_severity="critical")
    async with running(kafka, ROUTE, ada(slack)):
        minor, major = alert(severity="warning"), alert()
        await send(kafka, minor, major)
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
        assert {(s.alert_id, s.outcome, s.reason, s.error) for s in outcomes(steps)} == {
            (minor.id, "skipped", "preference_severity", "ada (version 1): least_severity is critical"),
            (major.id, "delivered", "ok", ""),
        }
        assert len(slack.messages) == 1
        await wish(control, quiet_hours=[{"from": "00:00", "to": "24:00", "least_severity": "none"}])
        quiet = await until_in_force(kafka, "preference_quiet_hours")
        assert quiet.error == "ada (version 2): 00:00 to 24:00 UTC"
        await control.change("preference", "ada", None, None, "ada")
        assert (await until_in_force(kafka, "ok", severity="info")).outcome == "delivered"


async def test_the_end_is_told_to_whom_the_beginning_was(kafka, control, slack):
    """Muted after the beginning: the end is sent, what lies between is not. Muted before it: neither, unmuted or not."""
    told, silent = alert(), alert()
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, told)
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 1)
        await wish(control, muted=True)
        await until_in_force(kafka, "preference_muted")
        await send(kafka, silent, alert("acknowledged", id=told.id, previous="firing"))
        await send(kafka, alert("resolved", id=told.id, previous="acknowledged"))
        # Wishes come by another topic: this one must not overtake what was sent before it.
        told_before = {(silent.id, 1), (told.id, 2), (told.id, 4)}
        await ledger_until(kafka, lambda s: told_before <= {(o.alert_id, o.number) for o in outcomes(s)})
        await wish(control)
        await until_in_force(kafka, "ok")
        await send(kafka, alert("resolved", id=silent.id, previous="firing"))
        steps = await ledger_until(kafka, lambda s: any(o.alert_id == silent.id and o.number == 4 for o in outcomes(s)))
    of = {a.id: said(s for s in steps if s.alert_id == a.id) for a in (told, silent)}
    assert of[told.id] == [
        ("firing", "delivered", "ok"),
        ("acknowledged", "skipped", "preference_muted"),
        ("resolved", "delivered", "ok"),
    ]
    assert of[silent.id] == [("firing", "skipped", "preference_muted"), ("resolved", "skipped", "firing_not_told")]


async def test_a_restart_forgets_neither_wishes_nor_who_was_told(kafka, control, slack):
    """After a restart a muted person hears of no beginning, of an end only where the beginning was sent before it."""
    told, silent, later = alert(), alert(severity="warning"), alert()
    await wish(control, least_severity="critical")
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, told, silent)
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
    await wish(control, muted=True)
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, later)
        for one in (told, silent, later):
            await send(kafka, alert("resolved", id=one.id, previous="firing", fired=one.fired, severity=one.severity))
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 6)
    of = {a.id: said(s for s in steps if s.alert_id == a.id) for a in (told, silent, later)}
    assert of[told.id] == [("firing", "delivered", "ok"), ("resolved", "delivered", "ok")]
    assert of[silent.id] == [("firing", "skipped", "preference_severity"), ("resolved", "skipped", "firing_not_told")]
    assert of[later.id] == [("firing", "skipped", "preference_muted"), ("resolved", "skipped", "firing_not_told")]
    assert len(slack.messages) == 2


async def test_what_was_begun_before_a_crash_is_ended_after_it(kafka, control, slack):
    """A page that may have arrived is sent to its end though its person is muted by now, and so is its resolved."""
    slack.script(kit.HANG)
    one = alert()
    async with process(kafka, ROUTE, ada(slack)) as role:
        await send(kafka, one)
        await slack.wait_for_requests(1)
        role.kill()
        await role.gone()
    await wish(control, muted=True)
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, alert("resolved", id=one.id, previous="firing"))
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
    assert said(steps) == [("firing", "delivered", "ok"), ("resolved", "delivered", "ok")]


NIGHT = [{"from": "00:00", "to": "24:00", "least_severity": "none"}]


async def test_what_quiet_hours_withheld_is_told_when_they_end_if_it_still_fires(kafka, control, slack):
    """Told once, with since when it was withheld; what is acknowledged or over by then is not, and neither is its end."""
    await wish(control, quiet_hours=NIGHT)
    firing, taken, over = alert(), alert(), alert()
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, firing, taken, over)
        await send(kafka, alert("acknowledged", id=taken.id, previous="firing", notify=False))
        await send(kafka, alert("resolved", id=over.id, previous="firing"))
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 4)
        await send(kafka, alert("escalated", id=firing.id, previous="firing"))
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 5)
        assert not slack.messages
        await wish(control)
        await ledger_until(kafka, lambda s: outcomes(s, "delivered"))
        await send(kafka, alert("resolved", id=firing.id, previous="escalated"))
        await send(kafka, alert("resolved", id=taken.id, previous="acknowledged"))
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 8)
    of = {a.id: said(s for s in steps if s.alert_id == a.id) for a in (firing, taken, over)}
    quiet = ("skipped", "preference_quiet_hours")
    assert of[firing.id] == [
        ("firing", *quiet), ("escalated", *quiet), ("escalated", "delivered", "ok"), ("resolved", "delivered", "ok"),
    ]  # fmt: skip
    assert of[taken.id] == of[over.id] == [("firing", *quiet), ("resolved", "skipped", "firing_not_told")]
    late, end = slack.messages
    assert "Half of all requests fail; withheld in quiet hours since " in str(late)
    assert "withheld" not in str(end)


async def test_what_was_withheld_outlives_the_role(kafka, control, slack):
    """Killed in the night, or while it tells late: what still fires is told once, or marked as a repeat; what was
    resolved while the role was down is not told, and neither is its end."""
    await wish(control, quiet_hours=NIGHT)
    firing, over, later = alert(), alert(), alert()
    async with process(kafka, ROUTE, ada(slack)) as role:
        await send(kafka, firing, over, later)
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 3)
        role.kill()
        await role.gone()
    await wish(control)
    await send(kafka, alert("resolved", id=over.id, previous="firing"))
    await send(kafka, alert("snoozed", id=later.id, previous="firing", number=2, notify=False))
    slack.script(kit.HANG)
    async with process(kafka, ROUTE, ada(slack)) as role:
        await slack.wait_for_requests(1)
        role.kill()
        await role.gone()
    async with running(kafka, ROUTE, ada(slack)):
        await ledger_until(kafka, lambda s: outcomes(s, "delivered"))
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, alert("firing", id=later.id, previous="snoozed", number=3))
        await send(kafka, alert("resolved", id=firing.id, previous="firing"))
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 7)
    of = {a.id: said(s for s in steps if s.alert_id == a.id) for a in (firing, over, later)}
    quiet = ("firing", "skipped", "preference_quiet_hours")
    assert of[firing.id] == [quiet, ("firing", "delivered", "ok"), ("resolved", "delivered", "ok")]
    assert of[over.id] == [quiet, ("resolved", "skipped", "firing_not_told")]
    assert of[later.id] == [quiet, ("firing", "delivered", "ok")]
    assert [s.repeat for s in steps if s.alert_id == firing.id and s.outcome == "delivered"] == [True, False]
    assert {s.reason for s in steps if s.outcome == "intent"} == {"quiet_hours_over", "may_have_arrived", "first"}
    assert len(slack.messages) == 3
    assert sum("withheld in quiet hours" in str(m) for m in slack.messages) == 1


async def test_quiet_hours_that_pass_by_the_clock_tell_what_they_withheld(kafka, control, slack, monkeypatch):
    """The ledger says until when, in the person's zone; the minute it is over, it is told, though nothing else comes."""
    clock = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
    monkeypatch.setattr("agents.notify.partition.now_ms", lambda: clock.timestamp() * 1000.0)
    await wish(control, quiet_hours=[{"from": "22:00", "to": "07:00"}], timezone="Europe/Berlin")
    one = alert(severity="warning")
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, one)
        (kept,) = outcomes(await ledger_until(kafka, outcomes))
        assert (kept.reason, kept.error) == (
            "preference_quiet_hours",
            "ada (version 1): 22:00 to 07:00 Europe/Berlin, until 2026-11-22T06:00:00.000Z",
        )
        clock = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
    assert [(s.number, s.outcome) for s in outcomes(steps)] == [(1, "skipped"), (1, "delivered")]
    assert len(slack.messages) == 1


async def test_an_end_that_was_read_first_is_known_before_anything_is_told_late(kafka, control, slack):
    """Hundreds of transitions came while the role was down, its resolution the last: it is over, and nobody hears of it."""
    await wish(control, quiet_hours=NIGHT)
    one, other = alert(), alert()
    async with running(kafka, ROUTE, ada(slack)):
        await send(kafka, one)
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 1)
    await wish(control)
    await send(kafka, *(alert("firing", id=one.id, previous="firing", number=n, notify=False) for n in range(2, 300)))
    await send(kafka, alert("resolved", id=one.id, previous="firing", number=300), other)
    async with running(kafka, ROUTE, ada(slack)):
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 3)
    assert said(s for s in steps if s.alert_id == one.id) == [
        ("firing", "skipped", "preference_quiet_hours"), ("resolved", "skipped", "firing_not_told"),
    ]  # fmt: skip
    assert len(slack.messages) == 1
