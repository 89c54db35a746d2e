"""This machine: cpu, memory, swap, load, disks and network, read with psutil."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from agents.probe.observation import Observation
from agents.probe.threads import in_thread
from streams.units import human

if TYPE_CHECKING:
    from agents.probe.context import Context
    from agents.probe.settings import Target

_LEAST_SPAN_S = 0.1


@dataclass(frozen=True, slots=True)
class _Counters:
    """What only grows; rates come from two of them. Seconds and bytes."""

    at: float
    busy: float
    total: float
    received: int
    sent: int


async def check(target: Target, ctx: Context) -> Observation:
    """Read the machine; not ok only where something asked for cannot be read. `latency_ms` is NaN."""
    assert target.host is not None
    last = ctx.shared(_Last).counters
    limit = asyncio.timeout(target.timeout)
    try:
        async with limit:
            before = last[target.name] if target.name in last else await in_thread(_counters)
            # The cpu's clock ticks in hundredths of a second: a share of less than a few of them is noise.
            await asyncio.sleep(max(before.at + _LEAST_SPAN_S - time.monotonic(), 0.0))
            now, metrics, problems = await in_thread(_read, target.host.disks)
    except Exception as error:  # whatever the system denies us
        if limit.expired():
            message = f"not read within {human(target.timeout)}: a disk or its network hangs"
            return Observation(ok=False, status="timeout", message=message)
        return Observation(ok=False, status="unreadable", message=f"{type(error).__name__}: {error}")
    last[target.name] = now
    metrics |= _rates(before, now)
    return Observation(
        ok=not problems, status="unreadable" if problems else "", message="; ".join(problems), metrics=metrics
    )


class _Last:
    """The counters of each target's last check."""

    def __init__(self) -> None:
        self.counters: dict[str, _Counters] = {}


def _counters() -> _Counters:
    cpu = psutil.cpu_times()
    # Linux counts a guest's time as user time already.
    total = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
    net = psutil.net_io_counters()
    return _Counters(
        at=time.monotonic(),
        busy=total - cpu.idle - getattr(cpu, "iowait", 0.0),
        total=total,
        received=net.bytes_recv if net else 0,
        sent=net.bytes_sent if net else 0,
    )


def _rates(before: _Counters, now: _Counters) -> dict[str, float]:
    """Share of busy cpu time and bytes per second from `before` to `now`; a counter that fell back gives none."""
    rates: dict[str, float] = {}
    if now.total > before.total:
        share = 100.0 * (now.busy - before.busy) / (now.total - before.total)
        rates["cpu.used_percent"] = min(max(share, 0.0), 100.0)
    span = now.at - before.at
    for name, delta in (("in", now.received - before.received), ("out", now.sent - before.sent)):
        if span > 0 and delta >= 0:
            rates[f"net.bytes_{name}_per_s"] = delta / span
    return rates


def _read(disks: tuple[str, ...]) -> tuple[_Counters, dict[str, float], list[str]]:
    """Counters, gauges by name, and what could not be read."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    metrics = {
        "memory.used_percent": float(memory.percent),
        "memory.available_bytes": float(memory.available),
        "swap.used_percent": float(swap.percent),
        "load.1m": float(psutil.getloadavg()[0]),
    }
    problems: list[str] = []
    used, free = [], []
    for path in disks:
        try:
            disk = psutil.disk_usage(path)
        except OSError as error:
            problems.append(f"disk {path} cannot be read: {error.strerror}")
            continue
        used.append(float(disk.percent))
        free.append(float(disk.free))
        metrics[f"disk.used_percent:{path}"] = used[-1]
    if used:
        metrics |= {"disk.used_percent": max(used), "disk.free_bytes": min(free)}
    return _counters(), metrics, problems
