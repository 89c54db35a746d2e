"""The front door: command line, configuration, embedded broker, supervisor, client library."""

__version__ = "0.1.0"
