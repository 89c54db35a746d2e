"""The configuration: one YAML file, checked, with errors that say where."""

from probestream.config.load import Located, load, load_text, located
from probestream.config.model import Config
from probestream.config.problem import ConfigError, Problem

__all__ = ["Config", "ConfigError", "Located", "Problem", "load", "load_text", "located"]
