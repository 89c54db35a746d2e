"""The live clients: who they are, what waits for them, and when they are let go.

A message is encoded once for all. Each client has a queue of its own and one task that empties it, so a slow one
holds up nobody; when its queue is full it is closed, and comes back with its cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from agents.gateway.present import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_QUEUED = 1000
MAX_QUEUED_CHARS = 16 * 1024 * 1024
GOING_AWAY, TRY_AGAIN_LATER, SILENT = 1001, 1013, 4408


def encode(message: dict[str, Any]) -> str:
    """A live message as text."""
    return orjson.dumps(message).decode()


@dataclass(eq=False, slots=True)
class Client:
    """One live connection; times are milliseconds since the Unix epoch."""

    address: str
    user_agent: str
    connected_since: float
    last_seen: float
    last_ping: float
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    last_pong: float | None = None
    messages_sent: int = 0
    queue: deque[str] = field(default_factory=deque)
    queued_chars: int = 0
    max_queued: int = MAX_QUEUED
    max_chars: int = MAX_QUEUED_CHARS
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    # Set to end: the code and reason of the close frame; `at_once` leaves what is queued behind.
    close: tuple[int, str] | None = None
    at_once: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self) -> str | None:
        """The next message; None when there will be none."""
        while not self.queue:
            if self.close is not None:
                return None
            self.woken.clear()
            await self.woken.wait()
        text = self.queue.popleft()
        self.queued_chars -= len(text)
        return text


class Hub:
    """All live clients."""

    def __init__(
        self, max_clients: int, now: Callable[[], float], heartbeat_s: float = 25.0, silent_s: float = 60.0
    ) -> None:
        self.max_clients, self.now = max_clients, now
        self.heartbeat_s, self.silent_s = heartbeat_s, silent_s
        self.clients: set[Client] = set()
        self.total_connections = self.messages_sent = 0
        self.dropped_slow = self.dropped_silent = self.rejected = 0
        self.closing = False
        self._left = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more clients are taken."""
        return self.closing or len(self.clients) >= self.max_clients

    def join(self, address: str, user_agent: str) -> Client:
        """A new client, which gets every message from now on."""
        now = self.now()
        client = Client(address, user_agent[:300], connected_since=now, last_seen=now, last_ping=now)
        self.clients.add(client)
        self.total_connections += 1
        return client

    def greet(self, client: Client, texts: Sequence[str]) -> None:
        """Queue what a new client is to have first, however much it is."""
        client.queue.extend(texts)
        client.queued_chars += sum(map(len, texts))
        client.max_queued += len(texts)
        client.max_chars += client.queued_chars
        client.woken.set()

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self.clients.discard(client)
        self._left.set()

    def push(self, client: Client, text: str) -> None:
        """Queue a message for one client; a client that has too much waiting is dropped."""
        if client.close is not None:
            return
        if len(client.queue) >= client.max_queued or client.queued_chars + len(text) > client.max_chars:
            self.dropped_slow += 1
            self.drop(client, TRY_AGAIN_LATER, "too slow: messages piled up")
            return
        client.queue.append(text)
        client.queued_chars += len(text)
        client.woken.set()

    def broadcast(self, message: dict[str, Any]) -> None:
        """Queue a message for every client."""
        if self.clients:
            text = encode(message)
            for client in list(self.clients):
                self.push(client, text)

    def drop(self, client: Client, code: int, reason: str) -> None:
        """End a connection now."""
        client.close = (code, reason)
        client.queue.clear()
        client.at_once.set()
        client.woken.set()
        self.clients.discard(client)

    def beat(self) -> None:
        """Ping those whose turn it is, drop those who have been silent; called about once a second."""
        now = self.now()
        ping = encode({"type": "ping", "time": iso(now)})
        for client in list(self.clients):
            if now - client.last_seen > self.silent_s * 1000.0:
                self.dropped_silent += 1
                self.drop(client, SILENT, f"silent for {self.silent_s:g} s")
            elif now - client.last_ping >= self.heartbeat_s * 1000.0:
                client.last_ping = now
                self.push(client, ping)

    async def shutdown(self, reason: str, timeout_s: float = 1.0) -> None:
        """Tell every client that the gateway stops, and close; those who do not take it in time are dropped."""
        self.closing = True
        self.broadcast({"type": "shutdown", "reason": reason, "time": iso(self.now())})
        for client in self.clients:
            client.close = (GOING_AWAY, reason)
            client.woken.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty(), timeout_s)
        for client in list(self.clients):
            self.drop(client, GOING_AWAY, reason)

    async def _empty(self) -> None:
        while self.clients:
            self._left.clear()
            await self._left.wait()

    def stats(self) -> dict[str, Any]:
        """What GET /api/health/websocket/stats tells."""
        return {
            "connected": len(self.clients),
            "max_clients": self.max_clients,
            "total_connections": self.total_connections,
            "messages_sent": self.messages_sent,
            "dropped_slow": self.dropped_slow,
            "dropped_silent": self.dropped_silent,
            "rejected": self.rejected,
            "clients": [
                {
                    "id": c.id,
                    "address": c.address,
                    "user_agent": c.user_agent,
                    "connected_since": iso(c.connected_since),
                    "last_pong": iso(c.last_pong),
                    "messages_sent": c.messages_sent,
                    "queued": len(c.queue),
                }
                for c in sorted(self.clients, key=lambda c: c.connected_since)
            ],
        }
