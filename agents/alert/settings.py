"""Settings of the alert role."""

from __future__ import annotations

from pydantic import Field

from streams.settings import Settings
from streams.units import Duration


class AlertSettings(Settings):
    """The alert role."""

    tick: Duration = Field(default=0.25, gt=0, description="How often pending alerts are looked at.")
