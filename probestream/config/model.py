"""The whole configuration file: every hop's section, and what must hold between them."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from agents.alert.settings import AlertSettings
from agents.detect.settings import DetectSettings
from agents.gateway.settings import GatewaySettings
from agents.history.settings import StorageSettings
from agents.logs.settings import LogsSettings
from agents.notify.settings import NotifySettings, Receiver
from agents.probe.settings import ProbeSettings, Target
from agents.watch_settings import WatchSettings
from streams.causes import DependencySettings
from streams.inhibition import InhibitRule
from streams.kafka import KafkaSettings
from streams.maintenance import Window
from streams.preferences import DeclaredPreference
from streams.routing import Route, named_receivers
from streams.rules import Rule, together
from streams.settings import Settings
from streams.silences import DeclaredSilence


class Config(Settings):
    """A probestream.yaml."""

    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    route: Route = Field(default_factory=Route)
    receivers: tuple[Receiver, ...] = ()
    dependencies: DependencySettings = Field(default_factory=DependencySettings)
    inhibit_rules: tuple[InhibitRule, ...] = ()
    maintenance: tuple[Window, ...] = ()
    silences: tuple[DeclaredSilence, ...] = ()
    preferences: tuple[DeclaredPreference, ...] = ()
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    probe: ProbeSettings = Field(default_factory=ProbeSettings)
    logs: LogsSettings = Field(default_factory=LogsSettings)
    detect: DetectSettings = Field(default_factory=DetectSettings)
    alert: AlertSettings = Field(default_factory=AlertSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    watch: WatchSettings = Field(default_factory=WatchSettings)

    @field_validator("rules", mode="after")
    @classmethod
    def _together(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """The rules as they are judged: a pair of thresholds, or an objective, has become two."""
        return together(rules)

    @model_validator(mode="after")
    def _references(self) -> Config:
        known = {r.name for r in self.receivers}
        if unknown := sorted(named_receivers(self.route) - known):
            raise ValueError(
                f"route names receiver {unknown[0]!r}, which receivers does not define; "
                f"defined: {', '.join(sorted(known)) or 'none'}"
            )
        return self
