"""The rules to try, in a file of their own; whatever else it does not say is as the configuration has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from probestream.config import Config
from probestream.config.load import load, load_text

if TYPE_CHECKING:
    from pathlib import Path

_SHARED = (
    "targets", "dependencies", "inhibit_rules", "maintenance", "silences", "detect", "alert", "kafka", "receivers",
    "route",
)  # fmt: skip


def with_rules(path: Path, base: Config) -> Config:
    """The configuration in the file at `path`; the sections that it lacks are those of `base`. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
        there = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return load(path)  # which says what is wrong with it
    block = isinstance(there, dict) and not text.lstrip().startswith("{")
    if block and "receivers" not in there and base.receivers:
        # Rules name the receivers of their escalations: those are known, and come last so that lines stay as they are.
        text += "\nreceivers: " + json.dumps([{"name": r.name} for r in base.receivers]) + "\n"
    config = load_text(text, str(path), base=path.parent) if block else load(path)
    given = set(there) if isinstance(there, dict) else set()
    return config.model_copy(update={name: getattr(base, name) for name in _SHARED if name not in given})
