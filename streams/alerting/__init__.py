"""Findings into alerts: every life of some partitions, and what they depend on. The alert role and a replay run it."""

from streams.alerting.engine import KEPT_MS, Engine, view_of
from streams.alerting.terms import Watched

__all__ = ["KEPT_MS", "Engine", "Watched", "view_of"]
