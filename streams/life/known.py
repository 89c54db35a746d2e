"""Which findings are no news: detect tells some of them again after it was killed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas import Finding

_DECIDED_BY = ("source_partition", "source_offset", "source_sample", "sequence")


def is_known(last: Mapping[str, Any], finding: Finding) -> bool:
    """Whether `finding` was decided by nothing later than what `last`, which `decided_by` made, says was taken in.

    By its number, or by partition, record and sample in it; and by event time as well, since the log of samples and
    detect's state may have been made anew.
    """
    if finding.time > last.get("time", -1.0):
        return False
    if finding.sequence >= 0 and last.get("sequence", -1) >= 0:
        return finding.sequence <= int(last["sequence"])
    # A life stored by a version that knew of no samples has taken in the whole record.
    place = (last.get("source_offset", -1), last.get("source_sample", math.inf))
    return (
        finding.source_offset >= 0
        and last.get("source_partition") == finding.source_partition
        and (finding.source_offset, finding.source_sample) <= place
    )


def decided_by(last: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    """What decided `finding`; the time is the latest of all, as samples come out of their order."""
    return {n: getattr(finding, n) for n in _DECIDED_BY} | {"time": max(finding.time, last.get("time", -1.0))}
