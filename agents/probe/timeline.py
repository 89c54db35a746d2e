"""Where the time of an HTTP request goes: look-up, connection, TLS, waiting for the first byte, transfer."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEGINS = {
    "connection.connect_tcp.started": "connect",
    "connection.start_tls.started": "tls",
    "http11.send_request_headers.started": "first_byte",
    "http11.receive_response_headers.complete": "transfer",
}
_DOING = {
    "prepare": "before it was sent",
    "dns": "while looking up the name",
    "connect": "while connecting",
    "tls": "in the TLS handshake",
    "first_byte": "while waiting for the first byte",
    "transfer": "while reading the body",
}

# The guarded backend that looks names up is not told which request it works for, but runs in the request's task.
current: ContextVar[Timeline | None] = ContextVar("timeline", default=None)


class Timeline:
    """Milliseconds of each stage, summed over redirects; it is httpcore's `trace` extension as well.

    Each moment belongs to one stage. "prepare" is what our own client does, and no part of the service's latency.
    """

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.spent: dict[str, float] = {}
        self.stage = "prepare"
        self.connected = self.answered = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:  # noqa: ARG002 - httpcore's signature
        """An event of httpcore, such as "connection.connect_tcp.started"."""
        if (stage := _BEGINS.get(event)) is not None:
            self.start(stage)
        elif event == "connection.connect_tcp.complete":
            self.connected = True

    def attempt(self) -> None:
        """A request begins, perhaps on a connection that is already there."""
        self.connected = self.answered = False
        self.start("prepare")

    def start(self, stage: str) -> None:
        """`stage` begins; what was under way ends."""
        now = time.perf_counter()
        self.spent[self.stage] = self.spent.get(self.stage, 0.0) + (now - self._since) * 1000.0
        self.stage, self._since = stage, now
        self.answered = self.answered or stage == "transfer"

    def stop(self) -> float:
        """All is done; how long it took, in milliseconds: the sum of the stages."""
        self.start("prepare")
        return sum(self.metrics().values())

    @property
    def doing(self) -> str:
        """What is under way, in words."""
        return _DOING[self.stage]

    def metrics(self) -> dict[str, float]:
        """http.dns_ms, .connect_ms, .tls_ms, .first_byte_ms, .transfer_ms: those stages that there were."""
        return {f"http.{stage}_ms": spent for stage, spent in self.spent.items() if stage != "prepare"}
