"""Comparison of columns with a threshold."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from streams.rules.condition import Symbol

WINDOWS_S = (60.0, 300.0, 3600.0)
_COMPARE = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def compare(symbol: Symbol, values: Any, threshold: float) -> Any:
    """`values` compared with `threshold`, elementwise; a NaN never holds, whatever the operator."""
    values = np.asarray(values)
    return _COMPARE[symbol](values, threshold) & ~np.isnan(values)
