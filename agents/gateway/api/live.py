"""The live connection: greeting, what was missed, then what happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from agents.gateway.cursor import Cursor
from agents.gateway.errors import error_body, reply
from agents.gateway.guard import SUBPROTOCOL
from agents.gateway.hub import Client, encode
from agents.gateway.present import alert_json, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.gateway.context import Gateway

router = APIRouter()
_HISTORY = 50
_AHEAD_S = 2.0
_POLICY, _TOO_LARGE = 1008, 1009
_MOST_CHARS = 4096


@router.websocket("/ws/health")
async def live(websocket: WebSocket) -> None:
    """One client, until it or the gateway goes."""
    gateway: Gateway = websocket.app.state.gateway
    hub = gateway.hub
    if not gateway.view.ready or hub.full:
        hub.rejected += 1
        why = "no more live connections are taken" if gateway.view.ready else "the gateway is still reading the log"
        await websocket.send_denial_response(reply(error_body("not_ready", why), 503))
        return
    cursor, reason = await _resumable(gateway, websocket.query_params.get("cursor"))
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
    address = websocket.client.host if websocket.client else ""
    # Between joining and greeting nothing is awaited: what comes after is live, and nothing is missed or told twice.
    client = hub.join(address, websocket.headers.get("user-agent", ""))
    hub.greet(client, [encode(m) for m in _greeting(gateway, client, cursor, reason)])
    try:
        await _serve(websocket, gateway, client)
    finally:
        hub.leave(client)
    if client.close is not None:
        code, text = client.close
        await _ignoring_disconnect(websocket.close(code, text))


async def _resumable(gateway: Gateway, text: str | None) -> tuple[Cursor | None, str]:
    """The cursor that a client can go on from, or None and why it cannot."""
    if not text:
        return None, "no_cursor"
    view = gateway.view
    try:
        cursor = Cursor.parse(text)
    except ValueError:
        return None, "bad_cursor"
    if not cursor.fits(view.cursor):
        return None, "bad_cursor"
    # It may come from a gateway that is a moment ahead of this one.
    if not await view.wait_for(lambda: cursor.reached_by(view.cursor), _AHEAD_S):
        return None, "cursor_ahead"
    if any(at < floor for at, floor in zip(cursor.alerts, view.alerts.floor, strict=True)):
        return None, "cursor_too_old"
    return cursor, "resumed"


def _greeting(gateway: Gateway, client: Client, cursor: Cursor | None, reason: str) -> Iterable[dict[str, Any]]:
    view, now = gateway.view, gateway.now()
    at = str(cursor or view.cursor)
    resumed = cursor is not None
    yield {
        "type": "connection",
        "client_id": client.id,
        "protocol": 1,
        "time": iso(now),
        "resumed": resumed,
        "reason": reason,
        "heartbeat_s": gateway.hub.heartbeat_s,
        "cursor": at,
    }
    last = [] if resumed else [alert_json(a) for a in view.alerts.last(_HISTORY)]
    yield {"type": "history", "alerts": last, "resumed": resumed, "cursor": at}
    if cursor is None:
        return
    alerts = list(cursor.alerts)
    touched: dict[str, None] = {}
    for entry in view.alerts.since(cursor.alerts):
        alerts[entry.partition] = entry.offset + 1
        place = str(Cursor(tuple(alerts), cursor.health))
        yield {"type": "health_alert", "alert": alert_json(entry.alert), "time": iso(now), "cursor": place}
        touched[entry.alert.target] = None
    touched |= {known.health.target: None for known in view.health_since(cursor)}
    if touched:
        yield health_update(gateway, touched, view.cursor)


def health_update(gateway: Gateway, names: Iterable[str], cursor: Cursor) -> dict[str, Any]:
    """The message that tells of targets, and of the platforms they belong to."""
    present, now = gateway.present, gateway.now()
    targets = [present.target(name, now) for name in names]
    platforms = present.platforms(now)
    touched = dict.fromkeys(t["platform"] for t in targets)
    return {
        "type": "health_update",
        "targets": targets,
        "platforms": [present.platform(p, platforms[p], now) for p in touched if p in platforms],
        "time": iso(now),
        "cursor": str(cursor),
    }


async def _serve(websocket: WebSocket, gateway: Gateway, client: Client) -> None:
    """Send and receive until either ends, or the hub lets the client go."""
    tasks = {
        asyncio.create_task(_send(websocket, gateway, client)),
        asyncio.create_task(_receive(websocket, gateway, client)),
        # A slow client's sender hangs in the socket: only this one notices that it was dropped.
        asyncio.create_task(client.at_once.wait()),
    }
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(websocket: WebSocket, gateway: Gateway, client: Client) -> None:
    while (text := await client.next()) is not None:
        await websocket.send({"type": "websocket.send", "text": text})
        client.messages_sent += 1
        gateway.hub.messages_sent += 1


async def _receive(websocket: WebSocket, gateway: Gateway, client: Client) -> None:
    hub = gateway.hub
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        client.last_seen = gateway.now()
        text = message.get("text") or (message.get("bytes") or b"").decode(errors="replace")
        if len(text) > _MOST_CHARS:
            hub.drop(client, _TOO_LARGE, f"a message may have {_MOST_CHARS} characters")
            return
        try:
            said = orjson.loads(text)
            kind = said.get("type")
        except (orjson.JSONDecodeError, AttributeError):
            hub.drop(client, _POLICY, "a message must be a JSON object with a type")
            return
        if kind == "ping":
            hub.push(client, encode({"type": "pong", "id": said.get("id"), "time": iso(client.last_seen)}))
        elif kind == "pong":
            client.last_pong = client.last_seen


async def _ignoring_disconnect(closing: Any) -> None:
    try:
        async with asyncio.timeout(2.0):
            await closing
    except (TimeoutError, RuntimeError, WebSocketDisconnect):  # it is gone already
        pass
