"""What an explanation needs of a configuration file, from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.explain.setup import Setup

if TYPE_CHECKING:
    from agents.notify.settings import Receiver
    from probestream.config import Config

_CONFIGS = "_configs"


def setup_of(config: Config) -> Setup:
    """The file's rules, targets, routes and limits."""
    detect = config.detect
    return Setup(
        rules=config.rules,
        targets=config.targets,
        route=config.route,
        channels={receiver.name: _channels(receiver) for receiver in config.receivers},
        silences=config.silences,
        maintenance=config.maintenance,
        defaults=config.alert,
        future_ms=detect.future * 1000,
        lateness_ms=detect.lateness * 1000,
        most_samples=detect.max_batch,
        forget_ms=detect.forget_after * 1000,
        quantiles=detect.quantiles,
        accept=detect.unknown_targets == "accept",
    )


def _channels(receiver: Receiver) -> list[str]:
    fields = [n for n in type(receiver).model_fields if n.endswith(_CONFIGS)]
    return [n.removesuffix(_CONFIGS) for n in fields for _ in getattr(receiver, n)]
