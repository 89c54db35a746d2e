"""The configuration: one YAML file, checked, with errors that say where."""

from probestream.config.load import ConfigError, load, load_text
from probestream.config.model import Config

__all__ = ["Config", "ConfigError", "load", "load_text"]
