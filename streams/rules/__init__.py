"""Rules: what to look at, what to compare it with, and how long before it is worth telling."""

from streams.rules.compare import WINDOWS_S, compare
from streams.rules.condition import Condition, Symbol
from streams.rules.expand import expand
from streams.rules.model import AlertsOf, Notification, Rule, Severity, Step
from streams.rules.slo import Slo
from streams.rules.together import together
from streams.rules.words import BUILT_IN

__all__ = [
    "BUILT_IN",
    "WINDOWS_S",
    "AlertsOf",
    "Condition",
    "Notification",
    "Rule",
    "Severity",
    "Slo",
    "Step",
    "Symbol",
    "compare",
    "expand",
    "together",
]
