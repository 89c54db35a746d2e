"""A test of rules: what comes in, what people do meanwhile, and which alerts are wanted at which times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from streams.instants import Instant, instant
from streams.labels import label_values
from streams.life.life import ACTIVE, ENDED, FIRED
from streams.rule_tests.series import Series
from streams.rules import Severity
from streams.rules.problems import joined, wrong
from streams.settings import Settings
from streams.silences import AnyMatcher
from streams.units import Duration, seconds

START_MS = instant("2026-01-01T00:00:00Z")  # a Thursday
GROUPS_OF_STATES: Mapping[str, tuple[str, ...]] = {"active": ACTIVE, "fired": FIRED}
"""States that one word stands for: fired is firing, whatever people or silences made of it."""
STATES = (*ACTIVE, *ENDED)
ACTIONS = ("ack", "unack", "snooze", "unsnooze", "resolve", "silence", "maintenance", "expire")
ON_ALERTS = ("ack", "unack", "snooze", "unsnooze", "resolve")
_LASTING = ("snooze", "silence", "maintenance")


def _one_or_more(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _states(value: object) -> object:
    """States by their names, and by the words that stand for several."""
    found: list[object] = []
    for name in _one_or_more(value):  # type: ignore[attr-defined]  # always a tuple
        if isinstance(name, str) and name not in STATES and name not in GROUPS_OF_STATES:
            raise ValueError(_no_state(name))
        found += GROUPS_OF_STATES.get(name, (name,)) if isinstance(name, str) else (name,)
    return tuple(found)


def _no_state(name: str) -> str:
    close = get_close_matches(name, STATES, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {joined((*STATES, *GROUPS_OF_STATES))}"
    return f"{name!r} is no state; {meant}"


def _times(value: object) -> object:
    return tuple(seconds(v) for v in _one_or_more(value))  # type: ignore[attr-defined]  # always a tuple


States = Annotated[tuple[str, ...], BeforeValidator(_states)]
Times = Annotated[tuple[float, ...], BeforeValidator(_times), Field(min_length=1)]
Labels = Annotated[dict[str, str], BeforeValidator(lambda v: label_values(v) if isinstance(v, dict) else v)]


class Want(Settings):
    """An alert that is wanted at some time, or with `not` one that is not."""

    at: Times
    rule: str = Field(default="", description="The rule's name, or that of a pair.")
    not_: str = Field(default="", alias="not", description="The rule of which there must be no such alert.")
    target: str = Field(default="", description="Or the group; empty: whatever its target.")
    state: States = Field(default=(), description="firing where none is given; for `not`, fired: however it is now.")
    severity: Severity | None = None
    labels: Labels = Field(default_factory=dict, description="These, and perhaps others.")
    annotations: Labels = Field(default_factory=dict, description="Rendered; these, and perhaps others.")
    count: int | None = Field(default=None, ge=1, description="Of how many targets; at least one where none is given.")
    reason: str = Field(default="", description="Why it came into its state.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.rule) == bool(self.not_):
            raise wrong(("rule" if not self.rule else "not", "give one of rule and not"))
        if self.not_ and self.count is not None:
            raise wrong(("count", "only beside rule: with not there is none"))
        return self

    @property
    def name(self) -> str:
        """The rule that it is about."""
        return self.rule or self.not_

    @property
    def states(self) -> tuple[str, ...]:
        """The states that are meant, with the default."""
        return self.state or (FIRED if self.not_ else ("firing",))


class ExpectedAlert(Settings):
    """One of the alerts in Prometheus's form; labels and annotations are some of the alert's."""

    exp_labels: Labels = Field(default_factory=dict)
    exp_annotations: Labels = Field(default_factory=dict)


class AlertRuleTest(Settings):
    """All alerts of a rule that fire at some time, in Prometheus's form."""

    eval_time: Duration
    alertname: str = Field(min_length=1)
    exp_alerts: tuple[ExpectedAlert, ...] = ()

    @field_validator("exp_alerts", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return () if value is None else value


class Step(Settings):
    """One transition that is wanted."""

    at: Duration
    rule: str = Field(min_length=1)
    target: str = ""
    state: str = ""
    reason: str = ""
    severity: Severity | None = None
    told: bool | None = Field(default=None, description="Whether people are told of it.")
    receivers: tuple[str, ...] | None = None
    actor: str = ""

    @field_validator("state")
    @classmethod
    def _known(cls, state: str) -> str:
        if state and state not in STATES:
            raise ValueError(_no_state(state))
        return state


class Event(Settings):
    """What somebody does at some time: one of `ACTIONS`."""

    at: Duration
    ack: str = Field(default="", description="The rule whose alerts somebody acknowledges.")
    unack: str = ""
    snooze: str = Field(default="", description="The rule whose alerts nobody wants to hear of, `for` so long.")
    unsnooze: str = ""
    resolve: str = Field(default="", description="The rule whose alerts somebody declares over.")
    silence: Annotated[tuple[AnyMatcher, ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="Matchers; `for` so long."
    )
    expire: str = Field(default="", description="The name of a silence, or window, that somebody ends.")
    maintenance: Annotated[tuple[AnyMatcher, ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="Matchers; `for` so long."
    )
    target: str = Field(default="", description="Of alerts: only this target's.")
    for_: Duration | None = Field(default=None, alias="for", gt=0)
    name: str = Field(default="", max_length=200, description="Of a silence, or window.")
    by: str = Field(default="test", max_length=200)
    comment: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [a for a in ACTIONS if getattr(self, a)]
        if len(given) != 1:
            have = f"; there are {joined(given)}" if given else ""
            raise wrong((given[1] if given else (), f"one thing happens at a time: {joined(ACTIONS, 'or')}{have}"))
        if given[0] in _LASTING and self.for_ is None:
            raise wrong((given[0], "for how long? write for: 1h"))
        if self.for_ is not None and given[0] not in _LASTING:
            raise wrong(("for", f"{given[0]} lasts until somebody ends it"))
        if self.target and given[0] not in ON_ALERTS:
            raise wrong(("target", f"only beside {joined(ON_ALERTS, 'or')}; {given[0]} takes matchers"))
        if self.name and given[0] not in ("silence", "maintenance"):
            raise wrong(("name", "only beside silence or maintenance"))
        return self

    @property
    def action(self) -> str:
        """Which of `ACTIONS` it is."""
        return next(a for a in ACTIONS if getattr(self, a))

    @property
    def rule(self) -> str:
        """The rule that it is about; empty where it is about matchers."""
        return next((getattr(self, a) for a in ON_ALERTS if getattr(self, a)), "")


class Case(Settings):
    """One test."""

    name: str = Field(default="", max_length=500)
    start: Instant = Field(
        default=START_MS,
        validation_alias=AliasChoices("start", "start_timestamp"),
        description="When it begins: for calendars and schedules.",
    )
    interval: Duration | None = Field(default=None, gt=0, description="From one step to the next; the file's.")
    series: tuple[Series, ...] = Field(default=(), validation_alias=AliasChoices("input_series", "series"))
    events: tuple[Event, ...] = ()
    alerts: tuple[Want, ...] = ()
    alert_rule_test: tuple[AlertRuleTest, ...] = ()
    transitions: tuple[Step, ...] = Field(
        default=(), description="Of each rule and target named here, all transitions in their order."
    )
    until: Duration | None = Field(default=None, description="When it ends; otherwise when the last thing happens.")

    @model_validator(mode="before")
    @classmethod
    def _of_prometheus(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for name in ("promql_expr_test", "external_labels", "external_url"):
                if name in data:
                    raise wrong((name, "there is no PromQL here; write alerts, or transitions"))
        return data

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not (self.alerts or self.alert_rule_test or self.transitions):
            raise ValueError("wants nothing: give alerts, transitions or alert_rule_test")
        return self

    @property
    def end_s(self) -> float:
        """When it ends, seconds from its start, so far as it says itself; its series may last longer."""
        times = [t for want in self.alerts for t in want.at]
        times += [t.eval_time for t in self.alert_rule_test]
        times += [s.at for s in self.transitions] + [e.at for e in self.events]
        return max([self.until or 0.0, *times])


def rules_named(case: Case) -> Iterable[tuple[tuple[str | int, ...], str]]:
    """Every rule that the test names, and where."""
    for i, want in enumerate(case.alerts):
        yield ("alerts", i, "rule" if want.rule else "not"), want.name
    for i, alert in enumerate(case.alert_rule_test):
        yield ("alert_rule_test", i, "alertname"), alert.alertname
    for i, step in enumerate(case.transitions):
        yield ("transitions", i, "rule"), step.rule
    for i, event in enumerate(case.events):
        if event.rule:
            yield ("events", i, event.action), event.rule


def targets_named(case: Case) -> Iterable[tuple[tuple[str | int, ...], str]]:
    """Every target that the test names, beside those that something comes of."""
    for section in ("alerts", "transitions", "events"):
        for i, item in enumerate(getattr(case, section)):
            if item.target:
                yield (section, i, "target"), item.target
