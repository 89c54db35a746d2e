"""Logs: log lines in, counts per target and template out, as samples that rules use like any other."""
