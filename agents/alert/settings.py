"""Settings of the alert role."""

from __future__ import annotations

from pydantic import Field

from streams.life.policy import LifeDefaults
from streams.units import Duration


class AlertSettings(LifeDefaults):
    """The alert role."""

    tick: Duration = Field(default=0.25, gt=0, description="How often the clock is looked at.")
