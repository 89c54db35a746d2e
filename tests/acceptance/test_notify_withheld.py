"""Pages that quiet hours withheld, where answers are lost, partitions move, and others of their partition are told."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from streams.control_client import ControlClient
from streams.kafka import consumer_options
from streams.routing import Route
from streams.topics import ALERTS, full_name
from tests.kit import receivers as kit
from tests.kit.notify import alert, ledger_until, outcomes, running, send, slack_of
from tests.kit.role import until

ROUTE = Route(receiver="ada")
NIGHT = [{"from": "00:00", "to": "24:00", "least_severity": "none"}]


@pytest.fixture
async def control(kafka):
    client = ControlClient(kafka, "test")
    yield client
    await client.close()


@pytest.fixture
async def slack():
    async with kit.SlackServer() as server:
        yield server


async def quiet(control, hours):
    await control.change("preference", "ada", {"quiet_hours": hours}, None, "ada")


def said(steps, alert_id: str) -> list[tuple[int, str, str]]:
    return [(s.number, s.outcome, s.reason) for s in outcomes(steps) if s.alert_id == alert_id]


async def test_the_end_of_what_was_told_late_is_told_though_the_ledger_was_read_before(kafka, control, slack):
    """After a restart the ledger is read for one alert, and says that nobody was told of another; then that one is
    told late, and so is its end."""
    kafka = kafka.model_copy(update={"partitions": 1})
    await quiet(control, NIGHT)
    one, other = alert(), alert()
    async with running(kafka, ROUTE, slack_of("ada", slack)):
        await send(kafka, one, other)
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
    async with running(kafka, ROUTE, slack_of("ada", slack)):
        await send(kafka, alert("firing", id=other.id, previous="firing", number=2, fired=other.fired))
        await ledger_until(kafka, lambda s: len(outcomes(s)) == 3)
        await quiet(control, [])
        await ledger_until(kafka, lambda s: len(outcomes(s, "delivered")) == 2)
        await send(kafka, alert("resolved", id=one.id, previous="firing", fired=one.fired))
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 6)
    withheld = ("skipped", "preference_quiet_hours")
    assert said(steps, one.id) == [(1, *withheld), (1, "delivered", "ok"), (4, "delivered", "ok")]


async def test_a_page_whose_being_withheld_was_committed_without_an_answer_is_told_late(
    kafka, control, slack, monkeypatch
):
    """The channel starts again and finds in the ledger what it takes for unwritten: it is kept, and told once."""
    await quiet(control, NIGHT)
    commit = AIOKafkaProducer.commit_transaction
    failures = []

    async def without_an_answer(producer):
        await commit(producer)
        if armed and not failures:
            failures.append(1)
            raise TimeoutError("no answer")

    monkeypatch.setattr(AIOKafkaProducer, "commit_transaction", without_an_answer)
    armed = False
    one = alert()
    async with running(kafka, ROUTE, slack_of("ada", slack)):
        armed = True
        await send(kafka, one)
        await ledger_until(kafka, lambda s: failures and outcomes(s))
        await quiet(control, [])
        steps = await ledger_until(kafka, lambda s: outcomes(s, "delivered"))
    assert said(steps, one.id)[-1] == (1, "delivered", "ok")
    assert len(slack.messages) == 1


async def test_a_mark_to_which_the_log_reaches_no_more_keeps_nobody_waiting(kafka, control, slack):
    """The log was cut off behind the group's offset, as by an election of a replica that lagged: new alerts are told."""
    kafka = kafka.model_copy(update={"partitions": 1})
    await quiet(control, [])
    async with running(kafka, ROUTE, slack_of("ada", slack)):
        await send(kafka, alert())
        await ledger_until(kafka, lambda s: len(outcomes(s, "delivered")) == 1)
    tp = TopicPartition(full_name(kafka, ALERTS), 0)

    async def cut_off() -> bool:
        try:
            await consumer.commit({tp: OffsetAndMetadata(1000, "withheld:0:0")})
        except CommitFailedError:  # the role has not left its group yet
            return False
        return True

    async with AIOKafkaConsumer(**consumer_options(kafka, "test-offsets", "notify-slack")) as consumer:
        consumer.assign([tp])
        await until(cut_off)
    async with running(kafka, ROUTE, slack_of("ada", slack)):
        await send(kafka, alert())
        steps = await ledger_until(kafka, lambda s: len(outcomes(s, "delivered")) == 2)
    assert len(outcomes(steps)) == 2
