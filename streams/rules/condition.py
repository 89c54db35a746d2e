"""One condition, or several by all, any and not; every field checked where its author wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterBadDateError, croniter
from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from streams.refusals import meant
from streams.rules import leaf, words
from streams.rules.forms import LEAF, Anomaly, Forecast, normal
from streams.rules.problems import Place, Places, relocated, wrong
from streams.rules.values import status
from streams.rules.words import AGGREGATES, OPERATORS, SYMBOLS
from streams.settings import Settings
from streams.units import Duration

Symbol = Literal[">", ">=", "<", "<=", "==", "!="]
Aggregate = Annotated[
    str,
    WithJsonSchema({"anyOf": [{"enum": list(AGGREGATES)}, {"type": "string", "pattern": r"^p\d{1,2}(\.\d{1,3})?$"}]}),
]
Threshold = Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})]
MOST_WORDS = 64  # conditions, and what joins them
RECOVERY_FAILED = "recovery_failed"


def _symbol(text: object) -> object:
    if not isinstance(text, str) or text in SYMBOLS:
        return text
    if text in OPERATORS:
        return OPERATORS[text]
    names = "greaterThan, greaterThanOrEqual, lessThan, lessThanOrEqual, equals or notEquals"
    raise ValueError(f"there is no operator {text!r}: write {', '.join(SYMBOLS)}, or {names}{meant(text, OPERATORS)}")


_RANDOM = re.compile(r"(?i)(?<![a-z])[hr](?![a-z])")


class Schedule(Settings):
    """When a run is due, and how long it may be late."""

    cron: str = Field(
        max_length=200, description="Five fields: minute, hour, day of the month, month, day of the week."
    )
    zone: str = Field(default="UTC", description="Time zone of the expression, for instance Europe/Berlin.")
    grace: Duration = Field(default=0.0, description="How long after it is due a run may come.")

    @field_validator("cron")
    @classmethod
    def _five(cls, text: str) -> str:
        if len(text.split()) != 5:
            raise ValueError(
                f"{text!r} has {len(text.split())} fields, a cron expression has 5: 0 3 * * * is 03:00 daily"
            )
        if _RANDOM.search(text):
            raise ValueError(f"{text!r}: H and R are another time on each worker; write the minute or hour itself")
        try:
            croniter(text, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
        except CroniterBadDateError as error:
            raise ValueError(f"{text!r} never comes: there is no such day") from error
        except (ValueError, KeyError) as error:
            raise ValueError(f"{text!r} is no cron expression: {error}") from error
        return text

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:  # unknown, a folder of zones, or no name at all
            close = get_close_matches(name, available_timezones(), n=1)
            meant = f"did you mean {close[0]}?" if close else "write for instance Europe/Berlin"
            raise ValueError(f"{name!r} is no time zone; {meant}") from error
        return name


StatusWord = Annotated[str, WithJsonSchema({"enum": [*words.STATUS, "recovery_failed"]})]


class Transition(Settings):
    """A change of a target's status."""

    from_: tuple[StatusWord, ...] = Field(default=(), alias="from", description="Empty: whatever it was.")
    to: tuple[StatusWord, ...] = Field(
        min_length=1, description="healthy, degraded, unhealthy, unknown, recovery_failed"
    )

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _words(self) -> Self:
        for name, texts in (("from", self.from_), ("to", self.to)):
            for i, text in enumerate(texts):
                if name == "to" and text.lower() == RECOVERY_FAILED:
                    continue
                try:
                    status(text)
                except ValueError as error:
                    raise wrong(((name, i), str(error))) from error
        if both := set(self.origins) & set(self.goals):
            raise wrong(("from", f"{words.STATUS_NAMES[min(both)]} is in from and in to: that is no transition"))
        return self

    @property
    def origins(self) -> tuple[int, ...]:
        """Numbers of `from`."""
        return tuple(dict.fromkeys(status(w) for w in self.from_))

    @property
    def goals(self) -> tuple[int, ...]:
        """Numbers of `to`, without recovery_failed."""
        return tuple(dict.fromkeys(status(w) for w in self.to if w.lower() != RECOVERY_FAILED))

    @property
    def recovery_failed(self) -> bool:
        """Whether a failed attempt to recover is meant."""
        return any(w.lower() == RECOVERY_FAILED for w in self.to)


_WANTED = "needs a condition: metric and value, expr, all, any, not, absent, schedule, transition, anomaly or forecast"


class Condition(Settings):
    """What to look at and what to compare it with; or several, by all, any and not."""

    metric: str = Field(
        default="",
        max_length=200,
        description="up, consecutive_failures, error_rate, success_rate, errors, count, rate, latency (milliseconds), "
        "status, absent, since_ok, or the name of a metric that samples carry.",
    )
    aggregate: Aggregate = Field(
        default="last",
        description="last: the latest sample. mean, min, max, sum, p50, p95, p99, count, rate: over the window. ratio: "
        "mean over the window to the baseline. zscore, robust: distance of the latest sample from the baseline in "
        "deviations. change: change-point score. seasonal_change: that of the ratio to what is usual for the hour of "
        "the week. flat: seconds without a movement. forecast: seconds to the limit. absent: seconds since the last "
        "one. surprise, error_ratio: of the error_rate.",
    )
    window: Duration = Field(default=0.0, description="10s to 5m, 10m to 1h by 5m, 2h to 24h by 1h.")
    operator: Annotated[Symbol, BeforeValidator(_symbol)] = ">"
    value: Threshold = Field(
        default=0.0,
        allow_inf_nan=False,
        description="A number; 5% where it is a share, 3h where it is a time, unhealthy where it is a status, "
        "2 * baseline.",
    )
    recover: Threshold | None = Field(
        default=None, allow_inf_nan=False, description="Once it holds, it holds for as long as it is beyond this."
    )
    min_samples: int = Field(default=1, ge=0, description="Samples the window must hold before the rule is judged.")
    limit: Threshold | None = Field(
        default=None, allow_inf_nan=False, description="With forecast: what is not to be reached."
    )
    quantile: float | None = Field(
        default=None, gt=0, lt=1, description="With ratio: this quantile of the window in place of the mean."
    )
    expr: str | None = Field(default=None, description="The condition as text: error_rate[5m] > 5% and count[5m] >= 10")
    all_: tuple[Condition, ...] = Field(default=(), alias="all", description="Holds while all of these do.")
    any_: tuple[Condition, ...] = Field(default=(), alias="any", description="Holds while one of these does.")
    not_: Condition | None = Field(default=None, alias="not", description="Holds while this does not.")
    absent: Duration | None = Field(default=None, description="Holds while no sample has come for so long.")
    schedule: Schedule | None = Field(default=None, description="Holds while a run by this schedule is overdue.")
    transition: Transition | None = Field(default=None, description="Holds from a change of status to the next one.")
    anomaly: Anomaly | str | None = Field(
        default=None, description="Holds while this metric is not what it usually is."
    )
    forecast: Forecast | None = Field(default=None, description="Holds while this metric is about to reach a limit.")

    @model_validator(mode="wrap")
    @classmethod
    def _written(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, str):
            data = {"expr": data}
        if not isinstance(data, Mapping):
            return handler(data)
        places: Places = {}
        try:
            made = handler(cls._normal(dict(data), places))
            if found := made._problems():  # noqa: SLF001 - its own
                raise wrong(*found)
        except ValidationError as error:
            raise relocated(error, places) from None
        return made

    @classmethod
    def _normal(cls, data: dict[str, Any], places: Places) -> dict[str, Any]:
        """`data` with every short form written out. Raises ValidationError."""
        return normal(data, places)

    def _problems(self) -> list[tuple[Place | str, str]]:
        """What is wrong with the whole, each with its field."""
        if self.compound:
            leaves = list(self.leaves())
            # What a rule of several looks at first is what it is known by, beside the whole.
            self.__dict__.update({name: getattr(leaves[0], name) for name in LEAF if name != "min_samples"})
            if self.size > MOST_WORDS:
                return [((), f"{len(leaves)} conditions are too many for one rule: at most about {MOST_WORDS // 2}")]
            return []
        if self.transition is not None:
            goals = self.transition.goals
            self.__dict__.update(metric="status", operator="==", value=float(goals[0]) if goals else 0.0)
            return []
        return self._of_leaf()

    def _of_leaf(self) -> list[tuple[Place | str, str]]:
        if not self.metric:
            return [((), _WANTED)]
        if "value" not in self.model_fields_set:
            return [("value", "is required")]
        return [*leaf.problems(self)]

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        derived = self._derived()
        kept = {name: value for name, value in data.items() if name not in derived}
        # A default that depends on the metric is written out, for it is not that of the field.
        return kept if "value" in derived else kept | {"value": self.value, "min_samples": self.min_samples}

    def _derived(self) -> tuple[str, ...]:
        """Fields that follow from others."""
        return tuple(n for n in LEAF if n != "min_samples") if self.compound or self.transition else ()

    @property
    def compound(self) -> bool:
        """Whether it is made of others."""
        return bool(self.all_ or self.any_ or self.not_)

    @property
    def parts(self) -> tuple[Condition, ...]:
        """What it is made of."""
        return (*self.all_, *self.any_, *((self.not_,) if self.not_ else ()))

    @property
    def size(self) -> int:
        """How many conditions, and how many and, or, not between them."""
        if self.transition is not None:
            change = self.transition
            return 2 * (len(change.goals) + len(change.origins) + change.recovery_failed) - 1
        if self.not_ is not None:
            return 1 + self.not_.size
        return sum(p.size for p in self.parts) + len(self.parts) - 1 if self.compound else 1

    def leaves(self) -> Iterator[Condition]:
        """Every condition that is not made of others, in order."""
        if not self.compound:
            yield self
        for part in self.parts:
            yield from part.leaves()
