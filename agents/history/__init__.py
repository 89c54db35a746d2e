"""Alerts, rollups and notifications in; SQL out."""
