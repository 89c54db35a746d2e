"""The rules to try, in a file of their own; whatever else it does not say is as the configuration has it."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

import yaml

from probestream.backtest.side import CURRENT
from probestream.config import Config, ConfigError, Problem
from probestream.config.load import load, load_text

if TYPE_CHECKING:
    from pathlib import Path

_SHARED = (
    "targets", "dependencies", "inhibit_rules", "maintenance", "silences", "detect", "alert", "kafka", "receivers",
    "route",
)  # fmt: skip


def with_rules(path: Path, base: Config) -> Config:
    """The configuration in the file at `path`; the sections that it lacks are those of `base`. Raises ConfigError."""
    if not path.exists() and (close := difflib.get_close_matches(str(path), _near(path), n=1)):
        raise ConfigError([Problem(str(path), 0, 0, "", f"there is no such file; did you mean {close[0]}?")])
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


def _near(path: Path) -> list[str]:
    """What somebody may have meant who named a file that is not there."""
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    return [CURRENT, *(str(p) for p in there if p.suffix in (".yaml", ".yml", ".json"))]
