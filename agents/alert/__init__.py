"""Findings in; transitions of alerts out."""
