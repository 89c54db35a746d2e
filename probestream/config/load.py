"""Reads a configuration file; every complaint names file, line, column and field.

Order: YAML, then environment overrides (``PROBESTREAM__GATEWAY__PORT=8081``), then ``${NAME}`` and
``${NAME:-default}`` in every text, then ``*_file`` fields, then pydantic.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from probestream.config.model import Config

_VARIABLE = re.compile(r"\$(\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
_PREFIX = "PROBESTREAM__"
_UNIQUE = ("targets", "rules", "receivers")
_MAX_BYTES = 16 * 1024 * 1024

Path_ = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where; line and column count from 1, 0 means unknown."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.field + ': ' if self.field else ''}{self.message}"


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` has every complaint."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in the file at `path`. Raises ConfigError."""
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError([Problem(str(path), 0, 0, "", f"larger than {_MAX_BYTES} bytes")])
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", f"is not UTF-8: {error.reason}")]) from error
    return load_text(text, str(path), environ, base=path.parent)


def load_text(
    text: str, file: str = "<text>", environ: Mapping[str, str] | None = None, base: Path | None = None
) -> Config:
    """The configuration in `text`; `base` is where relative ``*_file`` paths start. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    reader = _Reader(file, environ, base or Path.cwd())
    data = reader.read(text)
    reader.override(data)
    data = reader.expand(data, ())
    if reader.problems:
        raise ConfigError(reader.problems)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        told = [reader.explain(e, data) for e in error.errors()]
        raise ConfigError(sorted(told, key=lambda p: (p.line, p.column))) from error
    reader.unique(data)
    if reader.problems:
        raise ConfigError(reader.problems)
    return config


class _Reader:
    def __init__(self, file: str, environ: Mapping[str, str], base: Path) -> None:
        self.file, self.environ, self.base = file, environ, base
        self.marks: dict[Path_, tuple[int, int]] = {}
        self.overridden: dict[Path_, str] = {}
        self.problems: list[Problem] = []

    def problem(self, path: Path_, message: str) -> Problem:
        """A complaint about the field at `path`, or about the nearest one above it that the file has."""
        place = path
        while place and place not in self.marks and place not in self.overridden:
            place = place[:-1]
        if place in self.overridden:
            return Problem(f"environment variable {self.overridden[place]}", 0, 0, _dotted(path), message)
        line, column = self.marks.get(place, (0, 0))
        return Problem(self.file, line, column, _dotted(path), message)

    def read(self, text: str) -> dict[str, Any]:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self._marks(node, (), 0)
            data = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise ConfigError([Problem(self.file, line, column, "", f"not YAML: {error.problem}")]) from error
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise ConfigError([Problem(self.file, 0, 0, "", f"not YAML: {error}")]) from error
        if self.problems:
            raise ConfigError(self.problems)
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise ConfigError([Problem(self.file, 1, 1, "", "the file must be a mapping with targets, rules, ...")])
        return data

    def _marks(self, node: yaml.Node | None, path: Path_, depth: int) -> None:
        if node is None:
            return
        self.marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if depth > 50:
            raise ConfigError([self.problem(path, "nested too deeply")])
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(getattr(key, "value", key))
                here = (*path, name)
                self.marks.setdefault(here, (key.start_mark.line + 1, key.start_mark.column + 1))
                if name in seen:
                    self.problems.append(
                        Problem(
                            self.file, key.start_mark.line + 1, key.start_mark.column + 1, _dotted(here), "given twice"
                        )
                    )
                seen.add(name)
                self._marks(value, here, depth + 1)
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                self._marks(value, (*path, i), depth + 1)

    def override(self, data: dict[str, Any]) -> None:
        """Put ``PROBESTREAM__A__B=value`` (YAML) at a.b, and ``PROBESTREAM_KAFKA`` at kafka.bootstrap."""
        values = {k: v for k, v in self.environ.items() if k.startswith(_PREFIX)}
        if self.environ.get("PROBESTREAM_KAFKA"):
            values["PROBESTREAM_KAFKA"] = self.environ["PROBESTREAM_KAFKA"]
        for name, text in sorted(values.items()):
            field = f"{_PREFIX}KAFKA__BOOTSTRAP" if name == "PROBESTREAM_KAFKA" else name
            *sections, last = field.removeprefix(_PREFIX).lower().split("__")
            at = data
            for section in sections:
                if at.get(section) is None:
                    at[section] = {}
                at = at[section]
                if not isinstance(at, dict):
                    self.problems.append(Problem(f"environment variable {name}", 0, 0, "", f"{section} is no section"))
                    break
            else:
                try:
                    at[last] = yaml.safe_load(text)
                except yaml.YAMLError:
                    at[last] = text
                self.overridden[(*sections, last)] = name

    def expand(self, value: Any, path: Path_) -> Any:
        if isinstance(value, str):
            return self._variables(value, path)
        if isinstance(value, list):
            return [self.expand(v, (*path, i)) for i, v in enumerate(value)]
        if isinstance(value, dict):
            out: dict[Any, Any] = {}
            for key, inner in value.items():
                expanded = self.expand(inner, (*path, str(key)))
                if isinstance(key, str) and key.endswith("_file") and isinstance(expanded, str):
                    name = key.removesuffix("_file")
                    if name in value:
                        self.problems.append(self.problem((*path, key), f"{name} is given as well: choose one"))
                    out[name] = self._file(expanded, (*path, key))
                else:
                    out[key] = expanded
            return out
        return value

    def _variables(self, text: str, path: Path_) -> Any:
        missing: list[str] = []

        def put(found: re.Match[str]) -> str:
            if found.group(1) == "$":
                return "$"
            name, default = found.group(2), found.group(3)
            value = self.environ.get(name)
            if not value and default is not None:
                return default
            if value is None:
                missing.append(name)
                return ""
            return value

        done = _VARIABLE.sub(put, text)
        for name in missing:
            self.problems.append(
                self.problem(path, f"environment variable {name} is not set; ${{{name}:-default}} gives a default")
            )
        return done

    def _file(self, name: str, path: Path_) -> str:
        try:
            return (self.base / Path(name).expanduser()).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            self.problems.append(self.problem(path, f"file {name} cannot be read: {reason}"))
            return ""

    def unique(self, data: dict[str, Any]) -> None:
        for section in _UNIQUE:
            first: dict[str, int] = {}
            for i, item in enumerate(data.get(section) or []):
                name = item.get("name")
                if name in first:
                    line = self.marks.get((section, first[name], "name"), (0, 0))[0]
                    self.problems.append(
                        self.problem((section, i, "name"), f"{name!r} is already the name of another, in line {line}")
                    )
                first.setdefault(name, i)

    def explain(self, error: Any, data: dict[str, Any]) -> Problem:
        path: Path_ = tuple(error["loc"])
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = "unknown field" + _suggest(path)
        elif error["type"] == "missing":
            message = "is required"
        if path and f"{path[-1]}_file" in _at(data, path[:-1]):
            path = (*path[:-1], f"{path[-1]}_file")
        return self.problem(path, message)


def _at(data: Any, path: Path_) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return ()
    return data if isinstance(data, dict) else ()


def _dotted(path: Path_) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _suggest(path: Path_) -> str:
    names = _fields_at(Config, path[:-1])
    close = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(sorted(names))}" if names else ""


def _fields_at(model: type[BaseModel], path: Path_) -> list[str]:
    """Names of the fields that the section at `path` takes."""
    for step in path:
        if isinstance(step, int):
            continue
        info = next((f for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        inner = _model_in(info.annotation) if info else None
        if inner is None:
            return []
        model = inner
    return [f.alias or n for n, f in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
