"""The configuration: one YAML file, checked, with errors that say where."""

from probestream.config.load import ConfigError, Located, Problem, load, load_text, located
from probestream.config.model import Config

__all__ = ["Config", "ConfigError", "Located", "Problem", "load", "load_text", "located"]
