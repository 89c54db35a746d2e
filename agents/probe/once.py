"""One check by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.probe.context import Context
from agents.probe.kinds import KINDS
from agents.probe.observation import Observation
from agents.probe.runner import observe

if TYPE_CHECKING:
    from agents.probe.settings import Target
    from streams.kafka import KafkaSettings


async def check_once(
    target: Target, *, kafka: KafkaSettings | None = None, max_body_bytes: int = 1_048_576
) -> Observation:
    """What one check of `target` finds, on new connections; `kafka` is for targets of that kind."""
    if target.kind not in KINDS:
        return Observation(ok=False, status="not_probed", message=f"a {target.kind} target is not probed")
    async with Context(kafka=kafka, max_body_bytes=max_body_bytes) as context:
        return await observe(target, context)
