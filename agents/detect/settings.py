"""Settings of the detect role."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from streams.kafka import Isolation
from streams.settings import Settings
from streams.units import Duration


class DetectSettings(Settings):
    """The detect role."""

    unknown_targets: Literal["dead-letter", "accept"] = Field(
        default="dead-letter", description="What becomes of samples of a target that the configuration does not name."
    )
    isolation: Isolation = Field(
        default="read_uncommitted",
        description="Whether samples that are written in a transaction count at once, or once it is committed; then "
        "those of an aborted one never do, and all samples behind an open one wait for its end.",
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
    max_targets: int = Field(
        default=250_000, ge=1, description="Targets that one partition may hold; samples of more are refused."
    )
    forget_after: Duration = Field(
        default=7 * 86_400.0, ge=86_400, description="How long a target may be silent before its state is given up."
    )
    quantiles: bool = Field(default=True, description="Whether p50, p95 and the like are kept; they take memory.")
    health_every: Duration = Field(
        default=1.0, description="Least time between health records of a target whose status stays."
    )
