"""The gateway's live messages, over real Kafka and real WebSockets (row P8)."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agents.gateway import models
from streams.kafka import KafkaSettings
from tests.kit.gateway import Running, gateway, receive, receive_until
from tests.kit.ports import free_port
from tests.kit.records import alert, health, writer
from tests.kit.role import PATIENCE_S, until

LIVE = ("health_update", "health_alert")


async def test_the_order_after_connecting(kafka: KafkaSettings) -> None:
    """connection, then history with the last 50 transitions, then what happens (row P8)."""
    async with writer(kafka) as w:
        for i in range(60):
            await w.write(alert(id=f"a{i:02}"))
        async with gateway(kafka) as g, g.live(user_agent_header="test/1") as ws:
            hello, history = await receive(ws), await receive(ws)
            assert hello["type"] == "connection"
            assert (hello["resumed"], hello["reason"], hello["protocol"]) == (False, "no_cursor", 1)
            assert history["type"] == "history"
            assert [a["id"] for a in history["alerts"]] == [f"a{i:02}" for i in range(10, 60)]
            await w.write(health("shop", "unhealthy"))
            update = await receive(ws)
            assert update["type"] == "health_update"
            assert update["targets"][0]["status"] == "unhealthy"
            assert update["platforms"][0]["platform"] == "shop"
            await w.write(alert(id="new"))
            told = await receive(ws)
            assert (told["type"], told["alert"]["id"]) == ("health_alert", "new")
            models.Alert.model_validate(told["alert"])
            after = await receive(ws)
            assert (after["type"], after["targets"][0]["active_alerts"]) == ("health_update", 61)
            models.Target.model_validate(after["targets"][0])
            stats = await g.get("/api/health/websocket/stats")
            models.LiveStats.model_validate(stats)
            assert (stats["connected"], stats["total_connections"]) == (1, 1)
            (client,) = stats["clients"]
            assert (client["address"], client["user_agent"]) == ("127.0.0.1", "test/1")
            assert client["messages_sent"] == 5


async def test_ping_is_answered(kafka: KafkaSettings) -> None:
    """A client's ping gets a pong with its id; nonsense ends the connection with a reason."""
    async with gateway(kafka) as g:
        async with g.live() as ws:
            await receive(ws)
            await receive(ws)
            await ws.send('{"type": "ping", "id": 7}')
            pong = await receive(ws)
            assert (pong["type"], pong["id"]) == ("pong", 7)
            await ws.send('{"type": "pong"}')
            await until(lambda: _first_client(g, "last_pong"))
        for said, code in (("not json", 1008), ("[1]", 1008), ("x" * 5000, 1009), ("x" * 50_000, 1009)):
            async with g.live() as ws:
                await ws.send(said)
                with pytest.raises(ConnectionClosed) as closed:
                    await receive_until(ws, lambda m: False)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == code


async def _first_client(g: Running, field: str) -> Any:
    return (await g.get("/api/health/websocket/stats"))["clients"][0][field]


async def test_resume_after_a_restart_has_no_gap_and_no_repeat(kafka: KafkaSettings) -> None:
    """With its last cursor a client gets, from a restarted gateway, exactly the transitions it missed, in order."""
    got: list[tuple[str, int]] = []
    port = free_port()
    async with writer(kafka) as w:
        for round_ in range(3):
            async with gateway(kafka, port=port) as g:
                cursor = locals().get("cursor", "")
                async with g.live(f"?cursor={cursor}" if cursor else "") as ws:
                    hello, history = await receive(ws), await receive(ws)
                    assert hello["resumed"] is (round_ > 0)
                    assert history["alerts"] == []
                    cursor = hello["cursor"]
                    for i in range(20):
                        await w.write(alert(id=f"{round_}-{i}"), alert(id=f"{round_}-{i}", number=2, state="resolved"))
                    # Leave in the middle of it.
                    wanted = 20 if round_ < 2 else 40 * 3 + 10 * 2 - len(got)
                    while wanted:
                        message = await receive(ws)
                        if message["type"] in LIVE:
                            cursor = message["cursor"]
                        if message["type"] == "health_alert":
                            got.append((message["alert"]["id"], message["alert"]["number"]))
                            wanted -= 1
            # While no gateway runs.
            if round_ < 2:
                await w.write(*[alert(id=f"away{round_}-{i}") for i in range(10)])
    assert len(got) == len(set(got)) == 140
    for alert_id in {i for i, _ in got}:
        numbers = [n for i, n in got if i == alert_id]
        assert numbers == sorted(numbers)


async def test_resume_at_another_gateway_tells_the_latest_health(kafka: KafkaSettings) -> None:
    """A cursor of one gateway works at another, which tells each changed target's latest health once."""
    async with writer(kafka) as w, gateway(kafka) as one, gateway(kafka) as two:
        async with one.live() as ws:
            await receive(ws)
            await receive(ws)
            await w.write(health("shop"))
            cursor = (await receive(ws))["cursor"]
        await w.write(health("shop", "degraded"), health("shop", "unhealthy"), health("api", "degraded"))
        # Two partitions: neither says anything of the other.
        await until(lambda: _status(two, "shop", "unhealthy"))
        await until(lambda: _status(two, "api", "degraded"))
        async with two.live(f"?cursor={cursor}") as ws:
            assert (await receive(ws))["resumed"] is True
            await receive(ws)
            update = await receive(ws)
            assert {t["name"]: t["status"] for t in update["targets"]} == {"shop": "unhealthy", "api": "degraded"}
            await w.write(alert())
            assert (await receive(ws))["type"] == "health_alert"
            assert (await receive(ws))["type"] == "health_update"


async def _status(g: Running, name: str, status: str) -> bool:
    return (await g.get(f"/api/targets/{name}"))["target"]["status"] == status


async def test_a_cursor_of_no_use_is_told(kafka: KafkaSettings) -> None:
    """A cursor that cannot be resumed gives a full history, and the reason."""
    async with writer(kafka) as w, gateway(kafka) as g:
        await w.write(alert())
        await until(lambda: _has_alert(g, "a1"))
        for cursor, reason in (
            ("nonsense", "bad_cursor"),
            ("1.a1_2_3.h1_2_3", "bad_cursor"),
            ("1.a99_99.h99_99", "cursor_ahead"),
        ):
            async with g.live(f"?cursor={cursor}") as ws:
                hello, history = await receive(ws), await receive(ws)
                assert (hello["resumed"], hello["reason"]) == (False, reason)
                assert len(history["alerts"]) == 1


async def test_a_cursor_whose_log_is_gone_is_told(kafka: KafkaSettings) -> None:
    """Where Kafka has deleted some of what a client missed, it is told to begin anew, and gets what there is."""
    async with writer(kafka) as w:
        async with gateway(kafka) as g, g.live() as ws:
            cursor = (await receive(ws))["cursor"]
        await w.write(*[alert(id=f"old{i}") for i in range(20)])
        await _delete_alerts(kafka)
        await w.write(alert(id="new"))
        async with gateway(kafka) as g, g.live(f"?cursor={cursor}") as ws:
            hello, history = await receive(ws), await receive(ws)
            assert (hello["resumed"], hello["reason"]) == (False, "cursor_too_old")
            assert ([a["id"] for a in history["alerts"]], history["resumed"]) == (["new"], False)
            async with g.live(f"?cursor={hello['cursor']}") as again:
                assert (await receive(again))["reason"] == "resumed"


async def _delete_alerts(kafka: KafkaSettings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await admin.start()
    try:
        where = [TopicPartition(f"{kafka.prefix}alerts", p) for p in range(kafka.partitions)]
        # -1: up to the end.
        await admin.delete_records({p: RecordsToDelete(before_offset=-1) for p in where})
    finally:
        await admin.close()


async def test_a_silent_client_is_let_go(kafka: KafkaSettings) -> None:
    """Who answers no ping is closed with 4408 and counted; who answers stays."""
    async with gateway(kafka, heartbeat=1, silent_after=8) as g, g.live() as mute, g.live() as alive:
        hello, _ = await receive(alive), await receive(alive)
        assert hello["heartbeat_s"] == 1
        pings = 0

        async def answering() -> None:
            nonlocal pings
            async for text in alive:
                assert orjson.loads(text)["type"] == "ping"
                pings += 1
                await alive.send('{"type": "pong"}')

        answers = asyncio.create_task(answering())
        with pytest.raises(ConnectionClosed) as told:
            await receive_until(mute, lambda _: False)
        assert (told.value.rcvd.code, told.value.rcvd.reason) == (4408, "silent for 8 s")
        await until(lambda: pings >= 3)
        answers.cancel()
        stats = await g.get("/api/health/websocket/stats")
        assert (stats["connected"], stats["dropped_silent"]) == (1, 1)
        assert stats["clients"][0]["last_pong"] is not None


async def _has_alert(g: Running, alert_id: str) -> bool:
    return (await g.http.get(f"/api/alerts/{alert_id}")).status_code == 200


async def test_a_slow_client_is_dropped_and_harms_nobody(kafka: KafkaSettings) -> None:
    """A client that does not read is closed with 1013 and counted; another one gets everything meanwhile."""
    async with writer(kafka) as w, gateway(kafka) as g, g.live() as good:
        # A small window and no reader: a raw socket that sends the handshake and then sleeps.
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", g.port))
        key = base64.b64encode(b"0123456789abcdef").decode()
        await loop.sock_sendall(
            raw,
            f"GET /ws/health HTTP/1.1\r\nHost: 127.0.0.1:{g.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
        )
        await until(lambda: _connected(g, 2))
        last = lambda m: m["type"] == "health_alert" and m["alert"]["id"] == "last"  # noqa: E731
        reading = asyncio.create_task(receive_until(good, last))
        big = {"note": "x" * 200_000}
        for i in range(119):
            await w.write(alert(id=f"a{i}", annotations=big))
        await until(lambda: _connected(g, 1))
        await w.write(alert(id="last"))
        messages = await reading
        assert sum(m["type"] == "health_alert" for m in messages) == 120
        stats = await g.get("/api/health/websocket/stats")
        assert (stats["dropped_slow"], len(stats["clients"])) == (1, 1)
        # Reading at last, it finds the close frame behind what was on its way: 0x88, length, 1013.
        data = b""
        async with asyncio.timeout(PATIENCE_S):
            while part := await loop.sock_recv(raw, 1 << 16):
                data += part
        assert (1013).to_bytes(2, "big") in data[-60:]
        raw.close()


async def _connected(g: Running, count: int) -> bool:
    return (await g.get("/api/health/websocket/stats"))["connected"] == count


async def test_too_many_clients_are_refused(kafka: KafkaSettings) -> None:
    """Beyond max_clients a handshake is answered with 503, and counted."""
    async with gateway(kafka, max_clients=1) as g, g.live() as ws:
        await receive(ws)
        with pytest.raises(InvalidStatus) as refused:
            await g.live().__aenter__()
        assert refused.value.response.status_code == 503
        assert (await g.get("/api/health/websocket/stats"))["rejected"] == 1


async def test_a_stop_is_told(kafka: KafkaSettings) -> None:
    """Clients are told before the gateway stops, then closed with 1001."""
    async with gateway(kafka) as g:
        ws = await g.live()
    messages = await receive_until(ws, lambda m: m["type"] == "shutdown")
    assert messages[-1]["reason"]
    with pytest.raises(ConnectionClosed) as closed:
        await receive(ws)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
