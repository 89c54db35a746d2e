"""How an alert is to live: its rule's wishes, and the defaults of the alert role where the rule has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from streams.settings import Settings
from streams.units import Duration

if TYPE_CHECKING:
    from streams.rules import Rule


class Flapping(Settings):
    """When an alert that comes and goes is told once as flapping instead of each time."""

    episodes: int = Field(
        default=5, ge=0, description="More than so many episodes within `within` are flapping; 0: never."
    )
    within: Duration = Field(default=1800.0, gt=0)
    steady: Duration = Field(
        default=600.0, gt=0, description="Without a change for so long, it flaps no more; what it is then is told."
    )


class LifeDefaults(Settings):
    """What holds for every rule that does not say otherwise."""

    cooldown: Duration = Field(
        default=900.0,
        description="How long after an alert was told the same one may be told again; critical ones go at once.",
    )
    remind: Duration = Field(
        default=14_400.0,
        description="How often an alert that fires is told again while nobody has acknowledged it; 0: never.",
    )
    flapping: Flapping = Flapping()


# The milder rule of a pair waits a moment for the critical one, which speaks for both: it may be in another partition.
_PAIR_HOLD_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Step:
    """A step of escalation: `after_ms` without an answer since it was first told, these receivers are told too."""

    after_ms: float
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule's terms; times in milliseconds. 0 means none, except `steady_ms`, which is never 0."""

    rule: Rule
    for_ms: float = 0.0
    keep_ms: float = 0.0
    good_samples: int = 0
    cooldown_ms: float = 0.0
    remind_ms: float = 0.0
    steps: tuple[Step, ...] = ()
    flap_episodes: int = 0
    flap_within_ms: float = 1_800_000.0
    steady_ms: float = 600_000.0


def policy_of(rule: Rule, defaults: LifeDefaults | None = None) -> Policy:
    """The terms of `rule`; what it leaves open is as `defaults` say."""
    given = defaults or LifeDefaults()
    open_cooldown = 0.0 if rule.severity == "critical" else given.cooldown
    return Policy(
        rule=rule,
        for_ms=max(rule.for_ * 1000.0, _PAIR_HOLD_MS if rule.pair and rule.severity != "critical" else 0.0),
        keep_ms=rule.keep_firing_for * 1000.0,
        good_samples=rule.good_samples,
        cooldown_ms=(open_cooldown if rule.cooldown is None else rule.cooldown) * 1000.0,
        remind_ms=given.remind * 1000.0,
        steps=tuple(Step(s.after * 1000.0, s.receivers) for s in sorted(rule.escalate, key=lambda s: s.after)),
        flap_episodes=given.flapping.episodes,
        flap_within_ms=given.flapping.within * 1000.0,
        steady_ms=given.flapping.steady * 1000.0,
    )
