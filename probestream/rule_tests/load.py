"""Reads a file of rule tests; every complaint names file, line, column and field, as those about a configuration do."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AliasChoices, BeforeValidator, Field, ValidationError

from probestream.config import Config
from probestream.config.fields import Path_
from probestream.config.load import Reader, located, validated
from probestream.config.problem import ConfigError, Problem, read_text
from probestream.suppressing import suppressions_of
from streams.groups import PREFIX
from streams.rule_tests.model import Case, rules_named, targets_named
from streams.rule_tests.run import World
from streams.rule_tests.series import Series
from streams.settings import Settings
from streams.units import Duration, human

INLINE = (
    "targets", "rules", "receivers", "dependencies", "inhibit_rules", "maintenance", "silences", "alert", "detect",
)  # fmt: skip
_MOST_S = 100 * 86_400.0
_OWN_METRICS = ("ok", "up", "latency")


def _one_file(value: object) -> object:
    """Prometheus has a list of files; a configuration here is one."""
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError("one configuration is wanted: all rules of a file are judged together")
        return value[0]
    return value


class RuleTests(Settings):
    """A file of rule tests, Prometheus's form included."""

    config: Annotated[str | None, BeforeValidator(_one_file)] = Field(
        default=None, validation_alias=AliasChoices("config", "rule_files"), min_length=1
    )
    interval: Duration = Field(default=60.0, gt=0, validation_alias=AliasChoices("interval", "evaluation_interval"))
    tests: tuple[Case, ...]
    # Rules of the file itself, and what belongs to them; read as a configuration is.
    targets: Any = None
    rules: Any = None
    receivers: Any = None
    dependencies: Any = None
    inhibit_rules: Any = None
    maintenance: Any = None
    silences: Any = None
    alert: Any = None
    detect: Any = None
    # Of Prometheus, where they make no difference.
    group_eval_order: Any = None
    fuzzy_compare: Any = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The tests of one file, the configuration they are about, and where each part stands."""

    file: str
    config_file: str
    config: Config
    interval_s: float
    tests: tuple[Case, ...]
    at: Callable[[Path_, str], Problem]


class SeriesYaml(yaml.SafeLoader):
    """As YAML has it, but ``0x10`` is a series and no hexadecimal number, and ``1:30`` no number of base 60."""


SeriesYaml.yaml_implicit_resolvers = {
    first: [(tag, found) for tag, found in resolvers if tag != "tag:yaml.org,2002:int"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
SeriesYaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9]\d*)$"), list("-+0123456789"))


class _Reader(Reader):
    yaml_loader = SeriesYaml


def load(path: Path | str) -> Loaded:
    """The tests in the file at `path`, with its configuration. Raises ConfigError."""
    path = Path(path)
    return load_text(read_text(path), str(path), path.parent)


def load_text(text: str, file: str, base: Path) -> Loaded:
    """The tests in `text`; `base` is where the path of the configuration starts. Raises ConfigError."""
    reader = _Reader(file, os.environ, base)
    data = reader.expand(reader.read(text), ())
    _stop_at(reader.problems)
    try:
        tests = RuleTests.model_validate(data)
    except ValidationError as error:
        told = [reader.explain(e, RuleTests) for e in error.errors()]
        raise ConfigError(sorted(told, key=lambda p: (p.line, p.column))) from error
    if not tests.tests:
        raise ConfigError([reader.problem(("tests",), "there is no test")])
    inline = {name: data[name] for name in INLINE if data.get(name) is not None}
    config_file = file
    if tests.config is None:
        if "rules" not in inline:
            raise ConfigError([reader.problem((), "which rules? name their file in config, or write them in rules")])
        config = validated(reader, inline)
    else:
        if inline:
            raise ConfigError([reader.problem((next(iter(inline)),), "config is given as well: choose one")])
        place = "config" if "config" in data else "rule_files"
        config_file = str(base / Path(tests.config).expanduser())
        if not Path(config_file).is_file():
            raise ConfigError([reader.problem((place,), f"there is no file {config_file}")])
        config = located(config_file).config
    found = Loaded(file, config_file, config, tests.interval, _named(tests.tests), reader.problem)
    _stop_at([reader.problem(at, message) for at, message in _broken(found, data)])
    return found


def _stop_at(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError(sorted(problems, key=lambda p: (p.line, p.column)))


def _named(tests: tuple[Case, ...]) -> tuple[Case, ...]:
    return tuple(c if c.name else c.model_copy(update={"name": f"test {i}"}) for i, c in enumerate(tests, start=1))


def world_of(config: Config) -> World:
    """What a test about `config` runs in: what the roles are given."""
    return World(
        rules=config.rules,
        targets={t.name: t for t in config.targets},
        suppressions=lambda: suppressions_of(config),
        defaults=config.alert,
        tick_s=config.alert.tick,
    )


def _broken(loaded: Loaded, data: dict[str, Any]) -> Iterator[tuple[Path_, str]]:
    """Everything that names a rule, target, metric, label or silence that is not there."""
    config = loaded.config
    rules = {r.name for r in config.rules} | {r.pair for r in config.rules if r.pair}
    targets = {t.name for t in config.targets}
    declared = {s.name for s in config.silences} | {w.name for w in config.maintenance}
    for i, case in enumerate(loaded.tests):
        here: Path_ = ("tests", i)
        every = [s.interval or case.interval or loaded.interval_s for s in case.series]
        spans = [len(c) * e for s, e in zip(case.series, every, strict=True) for c in s.columns.values()]
        if (lasts := max([case.end_s, *spans])) > _MOST_S:
            yield here, f"would last {human(lasts)}, at most {human(_MOST_S)}: a shorter interval, or fewer steps"
        there = targets | {s.target for s in case.series}
        given = declared | {e.name for e in case.events if e.name}
        expired = ((("events", j, "expire"), e.expire) for j, e in enumerate(case.events) if e.expire)
        for what, named, known in (
            ("rule", rules_named(case), rules),
            ("target", targets_named(case), there),
            ("silence or window", expired, given),
        ):
            for path, name in named:
                if name not in known and not (what == "target" and name.startswith(PREFIX)):
                    yield (*here, *path), f"there is no {what} {name!r}{_meant(name, known)}"
        key = "input_series" if "input_series" in data["tests"][i] else "series"
        yield from (((*here, key, *path), text) for path, text in _series(case.series, config))


def _series(given: Sequence[Series], config: Config) -> Iterator[tuple[Path_, str]]:
    """What is wrong with where series come from, and what they are of."""
    targets = {t.name: t.all_labels for t in config.targets}
    closed = bool(targets) and config.detect.unknown_targets != "accept"
    metrics = {c.metric for r in config.rules for c in r.leaves()}
    labels: dict[str, dict[str, str]] = {}
    for j, series in enumerate(given):
        own = targets.get(series.target)
        if closed and own is None and not series.labels:
            text = f"there is no target {series.target!r}{_meant(series.target, set(targets))}"
            yield (j, "series" if series.series else "target"), f"{text}; one that is not configured needs labels here"
        for label, value in series.labels.items():
            if (label, value) == ("instance", series.target):
                continue  # Prometheus's name of the target, not a label that it has here
            have = labels.setdefault(series.target, {}).setdefault(label, value) if own is None else own.get(label, "")
            if have != value:
                text = f"label {label} of target {series.target!r} is {have!r}, not {value!r}"
                yield (j, "series" if series.series else "labels"), text
        for metric in sorted(set(series.columns) - metrics - set(_OWN_METRICS)):
            if close := difflib.get_close_matches(metric, metrics, n=1, cutoff=0.85):
                place = ("series",) if series.series else ("metric",) if series.metric else ("metrics", metric)
                yield (j, *place), f"no rule looks at {metric!r}; did you mean {close[0]}?"


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    some = sorted(known)[:10]
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(some)}" if some else ""
