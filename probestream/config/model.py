"""The whole configuration file: every hop's section, and what must hold between them."""

from __future__ import annotations

from pydantic import Field, model_validator

from agents.alert.settings import AlertSettings
from agents.detect.settings import DetectSettings
from agents.gateway.settings import GatewaySettings
from agents.history.settings import StorageSettings
from agents.notify.settings import NotifySettings, Receiver
from agents.probe.settings import ProbeSettings, Target
from streams.kafka import KafkaSettings
from streams.routing import Route, named_receivers
from streams.rules import Rule
from streams.settings import Settings


class Config(Settings):
    """A probestream.yaml."""

    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    route: Route = Field(default_factory=Route)
    receivers: tuple[Receiver, ...] = ()
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    probe: ProbeSettings = Field(default_factory=ProbeSettings)
    detect: DetectSettings = Field(default_factory=DetectSettings)
    alert: AlertSettings = Field(default_factory=AlertSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)

    @model_validator(mode="after")
    def _references(self) -> Config:
        known = {r.name for r in self.receivers}
        if unknown := sorted(named_receivers(self.route) - known):
            raise ValueError(
                f"route names receiver {unknown[0]!r}, which receivers does not define; "
                f"defined: {', '.join(sorted(known)) or 'none'}"
            )
        return self
