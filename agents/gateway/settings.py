"""Settings of the gateway role."""

from __future__ import annotations

import ipaddress

from pydantic import Field, SecretStr, model_validator

from streams.settings import Settings
from streams.units import Duration


class GatewaySettings(Settings):
    """The gateway: REST, WebSocket, dashboard."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: SecretStr | None = Field(
        default=None, description="Bearer token that callers must send; required wherever host is not loopback."
    )
    max_clients: int = Field(default=2000, ge=1)
    heartbeat: Duration = Field(default=25.0, ge=1.0, description="How often every live client is pinged.")
    silent_after: Duration = Field(
        default=60.0, description="A live client that says nothing for so long is let go; more than heartbeat."
    )

    @model_validator(mode="after")
    def _answerable(self) -> GatewaySettings:
        if self.silent_after <= self.heartbeat:
            raise ValueError(
                f"gateway.silent_after ({self.silent_after:g} s) must be longer than gateway.heartbeat "
                f"({self.heartbeat:g} s): clients that answer every ping would be let go"
            )
        return self

    @model_validator(mode="after")
    def _guarded(self) -> GatewaySettings:
        if not is_loopback(self.host) and self.token is None:
            raise ValueError(
                f"listening on {self.host} needs gateway.token: everyone who reaches it could read and act"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether `host` is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
