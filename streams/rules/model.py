"""The rule: a condition, whom it is about, how long it must hold, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from streams.labels import MatcherText
from streams.rules import leaf
from streams.rules.condition import Condition, Threshold
from streams.rules.forms import LEAF, normal
from streams.rules.problems import Place, Places, wrong
from streams.rules.slo import Slo, objective
from streams.rules.values import number
from streams.rules.words import SHARE
from streams.settings import Settings
from streams.templates import check
from streams.units import Duration, seconds

Severity = Literal["critical", "warning", "info"]
_RULE_FORMS = ("slo", "alerts")
_WANTED = (
    "needs a condition: metric and value, expr, all, any, not, absent, schedule, transition, anomaly, forecast, slo or "
    "alerts"
)
MOST_GOOD = 20
_NAME = r"^[^/\x00-\x1f]+$"


class Step(Settings):
    """Whom to tell when nobody has acknowledged for so long."""

    after: Duration = Field(description="Since it fired.")
    receivers: tuple[str, ...] = Field(default=(), description="Empty: those of the route, once more.")


class Resolve(Settings):
    """How it is made sure that it is over."""

    after: Duration = Field(default=0.0, description="How long it must have ceased: keep_firing_for.")
    samples: int = Field(
        default=0,
        ge=0,
        le=MOST_GOOD,
        description="With how many samples in a row it must not hold; a bad one starts over.",
    )


class Written(Settings):
    """A condition in a mapping of its own: metric, operator, value, duration."""

    metric: str = ""
    aggregate: str = ""
    window: Duration = 0.0
    operator: str = ""
    value: Threshold = 0.0
    duration: Duration = Field(default=0.0, description="How long it must hold before the alert fires.")


class Notification(Settings):
    """Whom a rule itself would like to be told."""

    channels: tuple[str, ...] = Field(default=(), description="A label `channels` for the route: email,sms.")
    recipients: tuple[str, ...] = Field(default=(), description="A label `recipients` for the route.")
    escalate_after: float | None = Field(
        default=None,
        alias="escalateAfter",
        ge=0,
        json_schema_extra={"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
        description="Minutes, or a text such as 90s: when nobody has acknowledged by then, it is told once more.",
    )

    @model_validator(mode="before")
    @classmethod
    def _minutes(cls, data: Any) -> Any:
        """A text is a duration, and becomes minutes; a bare number is minutes already."""
        name = "escalateAfter" if isinstance(data, Mapping) and "escalateAfter" in data else "escalate_after"
        given = data.get(name) if isinstance(data, Mapping) else None
        if isinstance(given, str) and not given.replace(".", "", 1).isdigit():
            try:
                return {**data, name: seconds(given) / 60.0}
            except ValueError as error:
                raise wrong((name, str(error))) from error
        return data


class AlertsOf(Settings):
    """Alerts of other rules, by name: all, any, not."""

    all_: tuple[str | AlertsOf, ...] = Field(default=(), alias="all")
    any_: tuple[str | AlertsOf, ...] = Field(default=(), alias="any")
    not_: str | AlertsOf | None = Field(default=None, alias="not")

    @model_validator(mode="before")
    @classmethod
    def _list(cls, data: Any) -> Any:
        return {"all": data} if isinstance(data, (list, tuple)) else data

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.all_, self.any_, self.not_))) != 1:
            raise ValueError("needs one of all, any, not")
        return self

    def names(self) -> Iterator[tuple[Place, str]]:
        """Every rule that is named, and where."""
        for key, parts in (("all", self.all_), ("any", self.any_)):
            for i, part in enumerate(parts):
                yield from _names((key, i), part)
        if self.not_ is not None:
            yield from _names(("not",), self.not_)


def _names(place: Place, part: str | AlertsOf) -> Iterator[tuple[Place, str]]:
    if isinstance(part, str):
        yield place, part
    else:
        for inner, name in part.names():
            yield (*place, *inner), name


def _steps(value: object) -> object:
    """One duration, or one step, is a list of one."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return ({"after": value},)
    return (value,) if isinstance(value, Mapping) else value


def _share(value: object) -> object:
    return number(value, SHARE) if isinstance(value, str) else value


class Rule(Condition):
    """A condition on each target that `match` selects, and what its alerts are like."""

    name: str = Field(min_length=1, max_length=200, pattern=_NAME, description="Unique; the id where none is given.")
    id: str | None = Field(default=None, min_length=1, max_length=200, pattern=_NAME)
    severity: Severity = "warning"
    match: tuple[MatcherText, ...] = Field(
        default=(), description='Matchers on the target\'s labels, for instance kind="http". Empty: every target.'
    )
    for_: Duration = Field(default=0.0, alias="for", description="How long it must hold before the alert fires.")
    keep_firing_for: Duration = Field(
        default=0.0, description="How long it must have ceased before the alert resolves."
    )
    resolve: Resolve | None = Field(default=None, description="How its end is verified: {after: 2m, samples: 3}.")
    cooldown: Duration | None = Field(
        default=None,
        description="How long after an alert fired before the same one may fire again; 15m where absent, and none for "
        "critical rules: those go at once.",
    )
    warning: Threshold | None = Field(
        default=None, allow_inf_nan=False, description="With critical, in place of value: a rule of each severity."
    )
    critical: Threshold | None = Field(
        default=None, allow_inf_nan=False, description="With warning, in place of value."
    )
    pair: str = Field(
        default="", max_length=200, description="Of rules with the same pair, the more severe inhibits the other."
    )
    slo: Annotated[Slo | None, BeforeValidator(objective)] = Field(
        default=None,
        description="Share of good checks in per cent, for instance 99.9: alerts on how fast the rest burns.",
    )
    alerts: AlertsOf | None = Field(
        default=None, description="Holds while alerts of other rules fire for the same target or group."
    )
    group_by: tuple[str, ...] = Field(default=(), description="Labels: one alert for the targets that share them.")
    share: Annotated[float | None, BeforeValidator(_share)] = Field(
        default=None, gt=0, le=1, description="Of a group: the share of targets that must hold, 0.5 or 50%."
    )
    at_least: int | None = Field(default=None, ge=1, description="Of a group: the number of targets that must hold.")
    escalate: Annotated[tuple[Step, ...], BeforeValidator(_steps)] = Field(
        default=(), description="What to do while nobody acknowledges: 10m, or a list of {after, receivers}."
    )
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, Annotated[str, AfterValidator(check)]] = Field(
        default_factory=dict, description="Templates: summary, description, runbook_url."
    )
    runbook: str | None = Field(
        default=None, max_length=2000, description="Address of what to do, as annotation runbook_url."
    )
    condition: Written | None = Field(default=None, description="metric, operator, value and duration in one place.")
    notification: Notification | None = None

    @classmethod
    def _normal(cls, data: dict[str, Any], places: Places) -> dict[str, Any]:
        if "name" not in data and "id" in data:
            data["name"] = data["id"]
            places[("name",)] = (("id",), None)
        data = _verified(_hoisted(data, places), places)
        data = {k: v for k, v in data.items() if v is not None or k not in _RULE_FORMS}
        return _told(normal(data, places, _RULE_FORMS, whole=True), places)

    def _problems(self) -> list[tuple[Place | str, str]]:
        found = super()._problems()
        if (self.share is not None) and (self.at_least is not None):
            found.append(("at_least", "share is given as well: choose one"))
        if self.runbook is not None and not self.runbook.startswith(("https://", "http://")):
            found.append(("runbook", "an address that begins with https:// or http:// is wanted"))
        if self.good_samples and self.alerts is not None:
            found.append((("resolve", "samples"), "a rule on other alerts sees no samples; theirs verify their end"))
        for i, (one, next_) in enumerate(zip(self.escalate, self.escalate[1:], strict=False)):
            if next_.after <= one.after:
                found.append((("escalate", i + 1, "after"), "each step comes later than the one before"))
        return found

    def _derived(self) -> tuple[str, ...]:
        if self.slo is not None or self.alerts is not None:
            return tuple(n for n in LEAF if n != "min_samples")
        return ("value",) if self.warning is not None else super()._derived()

    def _of_leaf(self) -> list[tuple[Place | str, str]]:
        if self.slo is not None or self.alerts is not None:
            names = [n for n in ("warning", "critical") if getattr(self, n) is not None]
            return [(n, "only beside a metric") for n in names]
        if not self.metric:
            return [((), _WANTED)]
        if self.warning is None and self.critical is None:
            return super()._of_leaf()
        return self._of_pair()

    def _of_pair(self) -> list[tuple[Place | str, str]]:
        if self.warning is None or self.critical is None:
            missing, given = ("warning", "critical") if self.warning is None else ("critical", "warning")
            return [(given, f"{missing} is missing; for one threshold alone, write value and severity: {given}")]
        if "value" in self.model_fields_set:
            return [("value", "warning and critical are given: choose")]
        if self.operator in ("==", "!="):
            return [("operator", f"{self.operator} cannot be a bit or very true: warning and critical need > or <")]
        rises = self.operator in (">", ">=")
        if not (self.critical > self.warning if rises else self.critical < self.warning):
            side, other = ("above", "<") if rises else ("below", ">")
            text = f"with {self.operator}, critical must be {side} warning ({self.warning:g}), not {self.critical:g}"
            return [("critical", f"thresholds cross: {text}; swap them, or write operator: {other}")]
        return [*leaf.problems(self, ("warning", "critical"))]

    @property
    def cooldown_s(self) -> float:
        """The cooldown in seconds, with its default."""
        if self.cooldown is not None:
            return self.cooldown
        return 0.0 if self.severity == "critical" else 900.0

    @property
    def good_samples(self) -> int:
        """With how many samples in a row it must not hold before its alert resolves; 0: with none."""
        return 0 if self.resolve is None else self.resolve.samples

    @property
    def grouped(self) -> bool:
        """Whether targets are counted: the alert is of a group, not of a target."""
        return bool(self.group_by) or self.share is not None or self.at_least is not None

    @property
    def alert_name(self) -> str:
        """What its alerts are called: both rules of a pair have one name."""
        return self.pair or self.name


def _verified(data: dict[str, Any], places: Places) -> dict[str, Any]:
    """``resolve: {after}`` as what it stands for, keep_firing_for."""
    inner = data.get("resolve")
    if isinstance(inner, Mapping) and inner.get("after"):
        if data.get("keep_firing_for"):
            raise wrong((("resolve", "after"), "keep_firing_for is given as well: they are the same, choose one"))
        rest = dict(inner)
        data |= {"keep_firing_for": rest.pop("after"), "resolve": rest}
        places[("keep_firing_for",)] = (("resolve", "after"), None)
    return data


_IN_CONDITION: dict[str, str] = {n: n for n in Written.model_fields} | {"duration": "for"}


def _hoisted(data: dict[str, Any], places: Places) -> dict[str, Any]:
    """``condition: {metric, operator, value, duration}`` as fields of the rule; what it does not know stays there."""
    inner = data.get("condition")
    if not isinstance(inner, Mapping):
        return data
    rest = dict(inner)
    for name, outer in _IN_CONDITION.items():
        if name not in rest:
            continue
        if outer in data:
            raise wrong((outer, f"condition.{name} is given as well: choose one"))
        data[outer] = rest.pop(name)
        places[(outer,)] = (("condition", name), None)
    data["condition"] = rest or None
    return data


def _told(data: dict[str, Any], places: Places) -> dict[str, Any]:
    """Runbook and notification as the annotation, labels and steps that they stand for."""
    if isinstance(runbook := data.get("runbook"), str) and isinstance(data.get("annotations") or {}, Mapping):
        data["annotations"] = {"runbook_url": runbook, **(data.get("annotations") or {})}
        places[("annotations", "runbook_url")] = (("runbook",), None)
    if data.get("notification") is None:
        return data
    try:
        wish = Notification.model_validate(data["notification"])
    except ValidationError:
        return data  # which is found once more, with its place, when the field is read
    hints = {n: ",".join(v) for n, v in (("channels", wish.channels), ("recipients", wish.recipients)) if v}
    if isinstance(data.get("labels") or {}, Mapping):
        data["labels"] = hints | dict(data.get("labels") or {})
    if wish.escalate_after is not None and not data.get("escalate"):
        data["escalate"] = ({"after": wish.escalate_after * 60.0},)
    return data
