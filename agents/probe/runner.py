"""One check of one target, whatever happens."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.probe.kinds import KINDS
from agents.probe.observation import Observation
from streams.units import human

if TYPE_CHECKING:
    from agents.probe.context import Context
    from agents.probe.settings import Target

_log = logging.getLogger("probestream.probe")

# Each kind keeps to the timeout and says where it gave up; this is for one that does not.
_GRACE_S = 1.0


async def observe(target: Target, ctx: Context) -> Observation:
    """What a check of `target` finds, within its timeout and a second; raises nothing but cancellation."""
    try:
        async with asyncio.timeout(target.timeout + _GRACE_S):
            return await KINDS[target.kind](target, ctx)
    except TimeoutError:
        return Observation(ok=False, status="timeout", message=f"no result within {human(target.timeout)}")
    except Exception as error:  # a fault of the probe itself: it must cost one sample, not the role
        _log.exception("the check of %s failed by itself", target.name)
        return Observation(ok=False, status="probe_error", message=f"the probe itself failed: {type(error).__name__}")
