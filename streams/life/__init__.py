"""The life of an alert: pending, firing, acknowledged, snoozed, suppressed, escalated, flapping, resolved."""

from streams.life.edited import on_edited
from streams.life.events import (
    Below,
    due,
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
from streams.life.known import decided_by, is_known
from streams.life.life import ACTIVE, ENDED, FIRED, LOUD, Life, LifeError, alert_id, sent
from streams.life.policy import Flapping, LifeDefaults, Policy, Step, policy_of
from streams.life.quiet import Quiet, Verdict, never
from streams.life.transitions import PROGRAM, TAKES_DOWN

__all__ = [
    "ACTIVE", "ENDED", "FIRED", "LOUD", "PROGRAM", "TAKES_DOWN", "Below", "Flapping", "Life", "LifeDefaults",
    "LifeError", "Policy", "Quiet", "Step", "Verdict", "alert_id", "decided_by", "due", "explain",
    "explain_transitions", "is_known", "never", "nothing", "on_acknowledged", "on_edited", "on_finding",
    "on_handed_back", "on_removed", "on_resolved", "on_snoozed", "on_tick", "policy_of", "sent",
]  # fmt: skip
