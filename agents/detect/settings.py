"""Settings of the detect role."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from streams.settings import Settings
from streams.units import Duration


class DetectSettings(Settings):
    """The detect role."""

    unknown_targets: Literal["dead-letter", "accept"] = Field(
        default="dead-letter", description="What becomes of samples of a target that the configuration does not name."
    )
    max_batch: int = Field(default=50_000, ge=1, description="Samples a batch may hold; a larger one is refused.")
    future: Duration = Field(
        default=60.0,
        le=60,
        description="How far ahead of the clock a sample may be; at most 1m, as panes reach no further.",
    )
    lateness: Duration = Field(
        default=3600.0,
        le=3600,
        description="How far behind the clock a sample may be; at most 1h, as panes keep no more.",
    )
    commit_every: Duration = Field(default=0.5, gt=0, description="Longest time between commits of the state.")
    health_every: Duration = Field(
        default=1.0, description="Least time between health records of a target whose status stays."
    )
