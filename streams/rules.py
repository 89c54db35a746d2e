"""Rules: what to look at, what to compare it with, and how long before it is worth telling."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from streams.labels import MatcherText
from streams.settings import Settings
from streams.templates import check
from streams.units import Duration

Severity = Literal["critical", "warning", "info"]
Symbol = Literal[">", ">=", "<", "<=", "==", "!="]
Aggregate = Literal["last", "mean", "min", "max", "ratio", "zscore"]

_WORDS = {
    "greaterThan": ">", "gt": ">", "greaterThanOrEqual": ">=", "gte": ">=", "lessThan": "<", "lt": "<",
    "lessThanOrEqual": "<=", "lte": "<=", "equals": "==", "eq": "==", "=": "==", "notEquals": "!=", "ne": "!=",
}  # fmt: skip
_COMPARE = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
WINDOWS_S = (60.0, 300.0, 3600.0)
BUILT_IN = ("up", "consecutive_failures", "error_rate", "errors", "count", "latency")
_COUNTED = ("error_rate", "errors", "count")


def _symbol(text: object) -> object:
    return _WORDS.get(text, text) if isinstance(text, str) else text


class Rule(Settings):
    """One condition on one metric of each target that `match` selects."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f]+$")
    severity: Severity = "warning"
    match: tuple[MatcherText, ...] = Field(
        default=(), description='Matchers on the target\'s labels, for instance kind="http". Empty: every target.'
    )
    metric: str = Field(
        description="up, consecutive_failures, error_rate, errors, count, latency (milliseconds), or the name of a "
        "metric that samples carry."
    )
    aggregate: Aggregate = Field(
        default="last",
        description="last: the latest sample. mean, min, max: over the window. ratio: mean over the window to the "
        "baseline. zscore: the latest sample's distance from the baseline in standard deviations.",
    )
    window: Duration = Field(default=0.0, description="Window: 1m, 5m or 1h.")
    operator: Annotated[Symbol, BeforeValidator(_symbol)] = ">"
    value: float = Field(allow_inf_nan=False)
    min_samples: int = Field(default=1, ge=1, description="Samples the window must hold before the rule is judged.")
    for_: Duration = Field(default=0.0, alias="for", description="How long it must hold before the alert fires.")
    cooldown: Duration | None = Field(
        default=None,
        description="How long after an alert fired before the same one may fire again; 15m where absent, and none for "
        "critical rules: those go at once.",
    )
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, Annotated[str, AfterValidator(check)]] = Field(
        default_factory=dict, description="Templates: summary, description, runbook_url."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = dict(data)
            if data.get("metric") in _COUNTED:
                data.setdefault("window", "5m")
            if "window" in data and "aggregate" not in data and data.get("metric") not in _COUNTED:
                data["aggregate"] = "mean"
            if data.get("aggregate") in ("mean", "min", "max", "ratio"):
                data.setdefault("window", "1m")
        return data

    @model_validator(mode="after")
    def _sensible(self) -> Rule:
        if self.window and self.window not in WINDOWS_S:
            raise ValueError("window is 1m, 5m or 1h")
        if self.metric in ("up", "consecutive_failures") and (self.aggregate != "last" or self.window):
            raise ValueError(f"{self.metric} is a state of the latest sample: it takes no window and no aggregate")
        if self.metric in _COUNTED and self.aggregate != "last":
            raise ValueError(f"{self.metric} counts over its window: it takes no aggregate")
        if self.aggregate in ("last", "zscore") and self.window and self.metric not in _COUNTED:
            raise ValueError(f"aggregate {self.aggregate} looks at the latest sample: it takes no window")
        if self.metric == "error_rate" and not 0 <= self.value <= 1:
            raise ValueError("error_rate is a share from 0 to 1: write 0.05 for 5 %")
        return self

    @property
    def cooldown_s(self) -> float:
        """The cooldown in seconds, with its default."""
        if self.cooldown is not None:
            return self.cooldown
        return 0.0 if self.severity == "critical" else 900.0


def compare(symbol: Symbol, values: Any, threshold: float) -> Any:
    """`values` compared with `threshold`, elementwise; a NaN never holds, whatever the operator."""
    values = np.asarray(values)
    return _COMPARE[symbol](values, threshold) & ~np.isnan(values)
