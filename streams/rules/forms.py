"""Short forms of a condition, written out: a mapping goes in, a mapping with plain fields comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from streams.rules import expression, leaf, words
from streams.rules.problems import Place, Places, relocated, wrong, wrong_at
from streams.rules.values import is_status, number, of_baseline
from streams.settings import Settings
from streams.units import Duration, seconds

# One of these says what a condition is about; `absent` may name a metric as well.
FORMS = ("metric", "expr", "all", "any", "not", "absent", "schedule", "transition", "anomaly", "forecast")
LEAF = ("metric", "aggregate", "window", "operator", "value", "recover", "min_samples", "limit", "quantile")
THRESHOLDS = ("value", "recover", "warning", "critical")
_RENAMED = {"all_": "all", "any_": "any", "not_": "not", "for_": "for"}
# What each finds, and how often in vain, is measured: docs/anomaly.md.
_CHANGE = {"low": 12.0, "medium": 8.5, "high": 6.5}
_SURPRISE = {"low": 9.0, "medium": 6.0, "high": 4.0}  # one in 10^9, 10^6, 10^4


class Anomaly(Settings):
    """A metric that is to be as it usually is."""

    metric: str = Field(min_length=1, max_length=200)
    sensitivity: Literal["low", "medium", "high"] = "medium"
    seasonal: bool = Field(default=False, description="As usual for the hour of the week, once there are two weeks.")


class Forecast(Settings):
    """A metric that is not to reach a limit."""

    metric: str = Field(min_length=1, max_length=200)
    limit: float | str
    within: Duration = Field(default=10800.0, description="How long before it tells.")


def normal(data: dict[str, Any], places: Places, also: tuple[str, ...] = (), *, whole: bool = False) -> dict[str, Any]:
    """`data` with its short form, if it has one, written out, and units and defaults put in.

    `also` are forms that the caller knows beside these; of a `whole` rule `match` may be set as well. Where fields
    have moved, `places` is told. Raises ValidationError.
    """
    for old, new in _RENAMED.items():
        if old in data:
            data.setdefault(new, data.pop(old))
    forms = (*FORMS, *also)
    data = {k: v for k, v in data.items() if k not in forms or not _empty(v)}
    _one_of(data, forms)
    match next((f for f in FORMS[1:] if f in data), ""):
        case "expr":
            data = _expression(data, places)
        case "absent":
            data = _absent(data, places)
        case "anomaly":
            data = _short(data, "anomaly", _anomaly(_part(data, "anomaly", Anomaly)), places)
        case "forecast":
            data = _short(data, "forecast", _forecast(_part(data, "forecast", Forecast)), places)
        case "schedule":
            data = {**data, "metric": "missed", "operator": ">", "value": 0.0}
    if any(data.get(form) for form in ("all", "any", "not")):
        return data
    return _leaf(_of_service(data, whole))


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, (str, list, tuple)) and not value)


def _one_of(data: Mapping[str, Any], forms: tuple[str, ...]) -> None:
    given = [f for f in forms if f in data]
    if given[:1] == ["metric"] and given[1:] == ["absent"]:
        return
    if given[:1] == ["metric"] and given[1:] == ["schedule"] and data["metric"] == "missed":
        return
    if len(given) > 1:
        raise wrong((given[1], f"{given[0]} is given as well: a condition is one of them"))


def _expression(data: dict[str, Any], places: Places) -> dict[str, Any]:
    text = data.pop("expr")
    if not isinstance(text, str):
        raise wrong(("expr", "a text is wanted, such as error_rate[5m] > 5%"))
    try:
        found = expression.parse(text)
    except expression.ExpressionError as error:
        raise wrong_at(("expr",), f"{error} (column {error.column + 1} of the text)", error.column) from error
    for path, column in found.columns.items():
        if path:
            places[path] = (("expr",), column)
        else:
            places.update({(name,): (("expr",), column) for name in found.fields})
    return _joined(data, found.fields, "expr")


def _absent(data: dict[str, Any], places: Places) -> dict[str, Any]:
    try:
        limit = seconds(data.pop("absent"))
    except ValueError as error:
        raise wrong(("absent", str(error))) from error
    places[("value",)] = (("absent",), None)
    if data.get("metric") in (None, "absent"):
        return _joined(data, {"operator": ">", "value": limit, "aggregate": "last"}, "absent") | {"metric": "absent"}
    return _joined(data, {"aggregate": "absent", "operator": ">", "value": limit}, "absent")


def _short(data: dict[str, Any], form: str, fields: dict[str, Any], places: Places) -> dict[str, Any]:
    del data[form]
    places.update({(name,): ((form,), None) for name in fields})
    places[("limit",)] = ((form, "limit"), None)
    return _joined(data, fields, form)


def _joined(data: dict[str, Any], fields: dict[str, Any], form: str) -> dict[str, Any]:
    for name in LEAF:
        if name in data and name in fields and data[name] != fields[name]:
            raise wrong((name, f"{form} says this already"))
    return {**data, **fields}


def _part(data: Mapping[str, Any], form: str, model: type[BaseModel]) -> Any:
    given = data[form]
    try:
        return model.model_validate({"metric": given} if isinstance(given, str) else given)
    except ValidationError as error:
        names: list[Place] = [tuple(e["loc"]) for e in error.errors()]
        raise relocated(error, {loc: ((form, *loc), None) for loc in names if loc}) from None


def _anomaly(wanted: Anomaly) -> dict[str, Any]:
    metric = wanted.metric
    if metric == "error_rate" and not wanted.seasonal:
        return {"metric": metric, "aggregate": "surprise", "operator": ">", "value": _SURPRISE[wanted.sensitivity]}
    begin = _CHANGE[wanted.sensitivity]
    aggregate = "seasonal_change" if wanted.seasonal else "change"
    above = {"metric": metric, "aggregate": aggregate, "operator": ">", "value": begin}
    if metric == "latency" or metric in words.OWN:
        return above
    return {"any": [above, {**above, "operator": "<", "value": -begin}]}


def _forecast(wanted: Forecast) -> dict[str, Any]:
    fields = {"metric": wanted.metric, "aggregate": "forecast", "limit": wanted.limit}
    return {**fields, "operator": "<", "value": wanted.within}


def _leaf(data: dict[str, Any]) -> dict[str, Any]:
    """One condition: its words in their own fields, its thresholds in its unit, its defaults."""
    metric, aggregate = data.get("metric", ""), data.get("aggregate")
    if not isinstance(metric, str) or not isinstance(aggregate, (str, type(None))):
        return data
    metric, aggregate = _words(metric, aggregate)
    if not metric:
        return data
    data["metric"] = metric
    data.pop("aggregate", None)
    if (aggregate := _aggregate(data, metric, aggregate)) is not None:
        data["aggregate"] = aggregate
    if (problem := leaf.unknown(metric, aggregate or "last")) is not None:
        raise wrong(problem)  # and nothing of its unit is known
    look = words.look(metric, aggregate or "last")
    assert look is not None
    if look.windowed and not data.get("window"):
        data["window"] = "5m" if metric in words.OWN else "1m"
    if look.kind in words.ZERO_WITHOUT_SAMPLES:
        data.setdefault("min_samples", 0)
    if aggregate == "forecast":
        data.setdefault("operator", "<")
    if metric == "status":
        data.setdefault("operator", "==")
    _numbers(data, metric, look)
    return data


def _words(metric: str, aggregate: str | None) -> tuple[str, str | None]:
    """Metric and aggregate where one of them was said by the other."""
    if aggregate is None and metric in words.OF_ERRORS:
        return "error_rate", metric
    if metric == "error_rate" and aggregate == "ratio":
        return metric, "error_ratio"
    if not metric and aggregate in words.OF_ERRORS:
        return "error_rate", aggregate
    if aggregate in words.OWN and (metric in ("", aggregate) or (metric == "latency" and aggregate == "success_rate")):
        return aggregate, None
    return metric, aggregate


def _aggregate(data: dict[str, Any], metric: str, aggregate: str | None) -> str | None:
    if (factor := of_baseline(data.get("value"))) is not None:
        data["value"] = factor
        return _to_baseline(data, metric, aggregate)
    if aggregate is None and data.get("window") and metric not in words.OWN:
        return "mean"
    return aggregate


def _to_baseline(data: dict[str, Any], metric: str, aggregate: str | None) -> str:
    if metric == "error_rate" and aggregate is None:
        return "error_ratio"
    if aggregate is not None and (share := words.quantile(aggregate)) is not None:
        data["quantile"] = share
        return "ratio"
    if metric in words.OWN or aggregate not in (None, "mean"):
        raise wrong(("value", "only the mean and the quantiles of a metric, and the error_rate, have a baseline"))
    return "ratio"


def _numbers(data: dict[str, Any], metric: str, look: words.Look) -> None:
    problems: list[tuple[str, str]] = []
    limits = [("limit", words.unit(metric))] if data.get("limit") is not None else []
    for name, unit in [(n, look.unit) for n in THRESHOLDS if data.get(n) is not None] + limits:
        try:
            data[name] = number(data[name], unit, metric)
        except ValueError as error:
            problems.append((name, str(error)))
    if problems:
        raise wrong(*problems)


def _of_service(data: dict[str, Any], whole: bool) -> dict[str, Any]:
    """``database.status equals unhealthy`` is about the status of the targets with the label service="database"."""
    metric = data.get("metric")
    if not (isinstance(metric, str) and metric.endswith(".status") and is_status(data.get("value"))):
        return data
    service = metric.removesuffix(".status")
    if not whole:
        raise wrong(("metric", f"a rule looks at one target: give {service} a rule of its own, join them by alerts"))
    match = tuple(data.get("match") or ())
    if not any(str(m).lstrip().startswith(("service", "target")) for m in match):
        match = (*match, f'service="{service}"')
    return {**data, "metric": "status", "match": match}
