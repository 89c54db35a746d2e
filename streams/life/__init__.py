"""The life of an alert: pending, firing, acknowledged, snoozed, suppressed, escalated, flapping, resolved."""

from streams.life.events import (
    Below,
    Quiet,
    Verdict,
    due,
    never,
    nothing,
    on_acknowledged,
    on_finding,
    on_handed_back,
    on_removed,
    on_resolved,
    on_snoozed,
    on_tick,
)
from streams.life.explain import explain, explain_transitions
from streams.life.life import ACTIVE, ENDED, FIRED, LOUD, Life, LifeError, alert_id, sent
from streams.life.policy import Flapping, LifeDefaults, Policy, Step, policy_of
from streams.life.transitions import TAKES_DOWN

__all__ = [
    "ACTIVE", "ENDED", "FIRED", "LOUD", "TAKES_DOWN", "Below", "Flapping", "Life", "LifeDefaults", "LifeError",
    "Policy", "Quiet", "Step", "Verdict", "alert_id", "due", "explain", "explain_transitions", "never", "nothing",
    "on_acknowledged", "on_finding", "on_handed_back", "on_removed", "on_resolved", "on_snoozed", "on_tick",
    "policy_of", "sent",
]  # fmt: skip
