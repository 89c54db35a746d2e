"""Probes check targets and put what they see on the samples topic."""
