"""What a configuration file has that people may change at run time, by kind and id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.control_bodies import SINGLE
from streams.inhibition import id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probestream.config import Config


def declared_of(config: Config) -> Mapping[str, Mapping[str, Any]]:
    """Preferences, inhibitions and the settings of dependencies."""
    return {
        "preference": {wish.name: wish for wish in config.preferences},
        "inhibit_rule": {id_of(rule): rule for rule in config.inhibit_rules},
        "dependencies": {SINGLE["dependencies"]: config.dependencies},
    }
