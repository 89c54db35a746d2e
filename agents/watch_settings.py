"""Where the roles show their own numbers."""

from __future__ import annotations

from pydantic import Field

from streams.settings import Settings


class WatchSettings(Settings):
    """Each role answers GET /metrics by itself; the gateway's /metrics has those that share its data folder."""

    host: str = Field(
        default="127.0.0.1",
        description="Address on which each role shows its metrics, without a token; another than loopback where a "
        "Prometheus elsewhere scrapes the role itself.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65_000,
        description="Port of the first role, probe; logs, detect, alert, notify, history and gateway have the next "
        "ones, in this order. 0: any free ones, which the gateway finds.",
    )
