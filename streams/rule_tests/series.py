"""What comes in during a test: for each target a series of each thing that its samples carry."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from streams.labels import label_values
from streams.rule_tests.notation import NotationError, values
from streams.rules.problems import wrong, wrong_at
from streams.rules.words import OWN
from streams.settings import Settings
from streams.units import Duration

_NAME = re.compile(r"\s*(?:(?P<plain>[A-Za-z_:][\w:.]*)|'(?P<single>[^']+)'|\"(?P<double>[^\"]+)\")?\s*")
_LABEL = re.compile(r"\s*(?P<name>[A-Za-z_][\w.-]*)\s*=\s*(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>[^']*)')\s*")
_LATENCY, _OK = "latency", "ok"
_DERIVED = frozenset(OWN) - {"up"}
_FAILED = 0.0


def _steps(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise PydanticCustomError("rule", "a series is a text such as 100x10, 0+5x20 or 1 1 _ 0")
    try:
        return tuple(values(str(value)))
    except NotationError as error:
        raise PydanticCustomError("rule", "{text}", {"text": str(error), "offset": error.offset}) from error


Steps = Annotated[tuple[float | None, ...], BeforeValidator(_steps)]


def series_name(text: str) -> tuple[str, dict[str, str]]:
    """Metric and labels of ``latency{target="api", team="web"}``. Raises NotationError."""
    head = _NAME.match(text)
    assert head is not None  # everything in it may be absent
    name = head["plain"] or head["single"] or head["double"]
    if name is None:
        raise NotationError('no metric; write for instance latency{target="api"}', head.end())
    labels: dict[str, str] = {}
    at, end = head.end(), len(text.rstrip())
    if at >= end:
        return name, labels
    if text[at] != "{":
        raise NotationError(f'{text[at]!r} does not belong here; write for instance {name}{{target="api"}}', at)
    at += 1
    while text[at:].lstrip()[:1] != "}":
        part = _LABEL.match(text, at)
        if part is None:
            raise NotationError('here comes a label, such as target="api", or }', at + _blanks(text, at))
        value = part["single"] if part["single"] is not None else re.sub(r"\\(.)", r"\1", part["double"])
        if part["name"] in labels:
            raise NotationError(f"label {part['name']} is given twice", part.start("name"))
        labels[part["name"]] = value
        at = part.end()
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "}":
            raise NotationError("here comes a comma or }", at)
    at += _blanks(text, at) + 1
    if text[at:].strip():
        raise NotationError("there is more after the }", at + _blanks(text, at))
    return name, labels


def _blanks(text: str, at: int) -> int:
    return len(text) - at - len(text[at:].lstrip())


class Series(Settings):
    """Samples of one target: `ok`, `latency` and `metrics`, or one metric with its `values`, as Prometheus has it."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    series: str = Field(default="", max_length=4000, description='Such as latency{target="api", team="web"}.')
    target: str = Field(default="", max_length=200)
    labels: dict[str, str] = Field(default_factory=dict, description="Of a target that the configuration has not.")
    metric: str = Field(default="", max_length=200)
    values: Steps | None = None
    ok: Steps | None = Field(default=None, description="1: the check succeeded, 0: it failed. Without: it succeeded.")
    latency: Steps | None = Field(default=None, description="Milliseconds.")
    metrics: dict[str, Steps] = Field(default_factory=dict)
    status: str = Field(default="", max_length=100, description="Of the samples that failed.")
    message: str = Field(default="", max_length=2000, description="Of the samples that failed.")
    interval: Duration | None = Field(default=None, gt=0, description="From one step to the next; the test's.")

    @field_validator("labels", mode="before")
    @classmethod
    def _text(cls, labels: Any) -> Any:
        return label_values(labels) if isinstance(labels, dict) else labels

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, data: Any) -> Any:
        """Prometheus's form as ours; a host's name or an instance is a target too."""
        if not isinstance(data, Mapping) or not isinstance(data.get("series"), str):
            return data
        try:
            metric, labels = series_name(data["series"])
        except NotationError as error:
            raise wrong_at(("series",), str(error), error.offset) from error
        for name in ("metric", "target"):
            if name in data:
                raise wrong((name, "series is given as well: choose one"))
        target = labels.pop("target", "") or labels.get("instance", "")
        if not target:
            raise wrong(("series", f'which target? write {metric}{{target="…"}}'))
        return {**data, "metric": metric, "target": target, "labels": labels | dict(data.get("labels") or {})}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.target:
            raise wrong(("target", "is required"))
        if bool(self.metric) != (self.values is not None):
            have, want = ("metric", "values") if self.metric else ("values", "metric")
            raise wrong((have if not self.series else "series", f"{want} is missing"))
        place = "series" if self.series else "metric"
        problems = [(place if name == self.metric else ("metrics", name), p) for name, p in self._misnamed()]
        given = self.ok if self.ok is not None else self.values if self.metric in ("ok", "up") else None
        if any(v not in (0.0, 1.0, None) for v in given or ()):
            problems.append(("ok" if self.ok is not None else "values", "1 succeeded, 0 failed, _ nothing came"))
        if not problems and not self.columns:
            problems.append((("target"), "nothing comes: give ok, latency or metrics"))
        if problems:
            raise wrong(*problems)
        return self

    def _misnamed(self) -> Iterator[tuple[str, str]]:
        for name in (*self.metrics, *((self.metric,) if self.metric else ())):
            if name in _DERIVED:
                yield name, f"{name} is worked out from samples: give ok"
            elif name in self.metrics and name in (_OK, "up", _LATENCY):
                yield name, f"write {_OK if name == 'up' else name} beside metrics, not in it"
            elif name not in (_OK, "up", _LATENCY) and "." not in name:
                for close in difflib.get_close_matches(name, (*OWN, _LATENCY, _OK), n=1, cutoff=0.8):
                    yield name, f"did you mean {close}? A metric of your own has a dot, as in app.{name}"

    @property
    def columns(self) -> dict[str, tuple[float | None, ...]]:
        """The steps of everything given, by ``ok``, ``latency`` or the metric's name."""
        found = dict(self.metrics)
        own = {_OK: self.ok, _LATENCY: self.latency}
        found |= {name: steps for name, steps in own.items() if steps is not None}
        if self.values is not None:
            found[_OK if self.metric == "up" else self.metric] = self.values
        return found


class Sample:
    """What comes of one target at one step."""

    __slots__ = ("latency", "message", "metrics", "ok", "status")

    def __init__(self) -> None:
        self.ok, self.latency, self.status, self.message = True, math.nan, "", ""
        self.metrics: dict[str, float] = {}


def samples(given: tuple[Series, ...], interval_s: float) -> dict[float, dict[str, Sample]]:
    """By time in milliseconds from the start, in order, and target: what comes; series of one target are one sample."""
    found: dict[float, dict[str, Sample]] = {}
    for series in given:
        every = (series.interval or interval_s) * 1000.0
        for name, steps in series.columns.items():
            for i, value in enumerate(steps):
                if value is not None:
                    sample = found.setdefault(i * every, {}).setdefault(series.target, Sample())
                    _put(sample, name, value, series)
    return dict(sorted(found.items()))


def _put(sample: Sample, name: str, value: float, series: Series) -> None:
    if name == _LATENCY:
        sample.latency = value
    elif name != _OK:
        sample.metrics[name] = value
    elif value == _FAILED:
        sample.ok, sample.status, sample.message = False, series.status, series.message
