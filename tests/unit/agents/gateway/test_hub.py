"""Live clients, on a clock that the test moves."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from agents.gateway.hub import Client, Hub


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Hub:
    return Hub(10, clock)


def kinds(client: Client) -> list[str]:
    return [orjson.loads(text)["type"] for text in client.queue]


def test_each_client_gets_every_message_in_order(hub: Hub) -> None:
    """A client that joins later gets what comes later."""
    first = hub.join("", "")
    hub.broadcast({"type": "a"})
    second = hub.join("", "")
    hub.broadcast({"type": "b"})
    assert kinds(first) == ["a", "b"]
    assert kinds(second) == ["b"]


def test_a_full_queue_drops_that_client_alone(hub: Hub) -> None:
    """By number or by size; a long greeting is no reason."""
    greeted, many, big, good = (hub.join("", "") for _ in range(4))
    hub.greet(greeted, ["x"] * 5000)
    many.max_queued = 2
    big.max_chars = 100
    for _ in range(3):
        hub.broadcast({"type": "a", "text": "x" * 30})
    assert many.close is not None
    assert many.close[0] == 1013
    assert big.close is not None
    assert hub.clients == {good, greeted}
    assert hub.dropped_slow == 2


def test_heartbeats_and_silence(hub: Hub, clock: Clock) -> None:
    """A ping each 25 s; 60 s without a word end it; a word keeps it."""
    silent, alive = hub.join("", ""), hub.join("", "")
    for second in range(1, 62):
        clock.now = second * 1000.0
        alive.last_seen = clock.now
        hub.beat()
    assert kinds(alive) == ["ping", "ping"]
    assert silent.close is not None
    assert silent.close[0] == 4408
    assert hub.clients == {alive}
    assert hub.dropped_silent == 1


async def test_a_shutdown_waits_for_those_who_read(hub: Hub) -> None:
    """Readers get the message and the end; the others are cut after the time is up; nobody new comes in."""
    reader, stuck = hub.join("", ""), hub.join("", "")

    async def read() -> list[str]:
        found = []
        while (text := await reader.next()) is not None:
            found.append(orjson.loads(text)["type"])
        hub.leave(reader)
        return found

    task = asyncio.create_task(read())
    await hub.shutdown("test", 0.05)
    assert await task == ["shutdown"]
    assert stuck.at_once.is_set()
    assert hub.full
    assert not hub.clients
