"""TCP: a connection that must open."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from agents.probe.dial import addresses_of, first_of
from agents.probe.observation import Observation
from agents.probe.problems import explain
from streams.units import human

if TYPE_CHECKING:
    from agents.probe.context import Context
    from agents.probe.settings import Target


async def check(target: Target, ctx: Context) -> Observation:  # noqa: ARG001 - every kind's signature
    """Open a connection and close it; `latency_ms` is the look-up and the handshake."""
    assert target.tcp is not None
    host, port = target.tcp.host_port
    metrics: dict[str, float] = {}
    limit = asyncio.timeout(target.timeout)
    began = time.perf_counter()
    try:
        async with limit:
            addresses = await addresses_of(host, allow_private=target.allow_private)
            looked_up = time.perf_counter()
            metrics["tcp.dns_ms"] = (looked_up - began) * 1000.0
            writer = await first_of(addresses, lambda address: _open(address, port), _close)
            done = time.perf_counter()
    except Exception as error:  # whatever the system's sockets raise
        if limit.expired():
            doing = "connecting" if metrics else "looking up the name"
            status, message = "timeout", f"no connection within {human(target.timeout)}: gave up while {doing}"
        else:
            status, message = explain(error, f"{host}:{port}")
        return Observation(ok=False, status=status, message=message, metrics=metrics)
    await _close(writer)
    metrics["tcp.connect_ms"] = (done - looked_up) * 1000.0
    return Observation(ok=True, latency_ms=(done - began) * 1000.0, status="connected", metrics=metrics)


async def _open(address: str, port: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(address, port)
    return writer


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()  # and no waiting for it: what the other side does now is not what was asked
