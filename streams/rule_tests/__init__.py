"""Tests of rules: series in, alerts out, and whether they are those that were wanted."""
