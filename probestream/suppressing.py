"""What keeps alerts from being told, as a configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.dependencies import Dependencies
from streams.suppression import Suppressions

if TYPE_CHECKING:
    from probestream.config import Config


def suppressions_of(config: Config) -> Suppressions:
    """Dependencies, inhibitions, maintenance and silences of `config`, none of them begun."""
    return Suppressions(
        dependencies=Dependencies(config.targets),
        inhibit_rules=config.inhibit_rules,
        maintenance=config.maintenance,
        silences=config.silences,
        settings=config.dependencies,
    )
