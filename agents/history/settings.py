"""Settings of the history role."""

from __future__ import annotations

from pydantic import Field, SecretStr

from streams.settings import Settings
from streams.units import Duration


class StorageSettings(Settings):
    """Where the SQL history lives."""

    url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL; empty for a SQLite file in the data folder."
    )
    keep: Duration = Field(default=35 * 86400.0, description="How long rollups, alerts and notifications stay.")
    keep_panes: Duration = Field(
        default=2 * 86400.0,
        ge=7200.0,
        description="How long rollups stay as fine as they come; after that they are merged into five minutes each.",
    )
