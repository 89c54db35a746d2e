"""The kinds of probes: a file each, and a line in KINDS. A target of a kind that is not here is not probed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agents.probe.context import Context
from agents.probe.kinds import host, http, kafka, tcp
from agents.probe.observation import Observation
from agents.probe.settings import Target

Check = Callable[[Target, Context], Awaitable[Observation]]

KINDS: dict[str, Check] = {
    "http": http.check,
    "tcp": tcp.check,
    "host": host.check,
    "kafka": kafka.check,
}
