"""Service level objectives: alerts on how fast the error budget burns.

Source: Google, "The Site Reliability Workbook", chapter 5, "Alerting on SLOs", table 5-8: of a 30-day budget, 2 % in
1 h (14.4 times the rate that would just use it up) is a page, and so is 5 % in 6 h (6 times); each with a window of a
twelfth of its length beside it, so that the alert ends soon after the cause. The table's third line, 10 % in 3 d, is
left out: windows end at 24 h. Here the second is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from streams.rules.problems import wrong
from streams.settings import Settings
from streams.units import Duration


@dataclass(frozen=True, slots=True)
class Burn:
    """A share of the budget used up within `long_s`, and seen in `short_s` as well."""

    severity: Literal["critical", "warning"]
    budget_share: float
    long_s: float
    short_s: float

    def rate(self, period_s: float) -> float:
        """How many times as fast as would just use up the budget of `period_s`."""
        return self.budget_share * period_s / self.long_s


BURNS = (Burn("critical", 0.02, 3600.0, 300.0), Burn("warning", 0.05, 21600.0, 1800.0))


def _percent(written: Any) -> Any:
    return written.strip().removesuffix("%").strip() if isinstance(written, str) else written


class Slo(Settings):
    """A share of good checks over a period."""

    objective: Annotated[float, BeforeValidator(_percent)] = Field(
        gt=0, lt=100, description="In per cent, for instance 99.9."
    )
    window: Duration = Field(default=30 * 86400.0, description="The period of the objective.")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        slowest = min(b.rate(self.window) for b in BURNS)
        if slowest < 1:
            raise wrong(("window", "too short for burn rates over hours: at least 5d"))
        fastest = max(b.rate(self.window) for b in BURNS)
        if fastest * self.budget >= 1:
            least = 100.0 * (1 - 1 / fastest)
            text = f"its budget cannot burn {fastest:.3g} times too fast: all checks would have to fail, and more"
            raise wrong(("objective", f"{text}. From {least:.1f} on it can; here, write metric: error_rate"))
        return self

    @property
    def budget(self) -> float:
        """Share of checks that may fail."""
        return 1.0 - self.objective / 100.0

    def threshold(self, burn: Burn) -> float:
        """Error rate at which `burn` happens."""
        return round(burn.rate(self.window) * self.budget, 12)


def objective(written: Any) -> Any:
    """``99.9`` and ``99.9%`` are objectives of 30 days."""
    return {"objective": written} if written is not None and not isinstance(written, (Mapping, Slo)) else written
