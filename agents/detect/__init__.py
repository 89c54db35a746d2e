"""Samples in; findings, rollups and health out."""
