"""Reads a configuration file; every complaint names file, line, column and field.

Order: YAML, then environment overrides (``PROBESTREAM__GATEWAY__PORT=8081``; a text is taken as it stands), then
``${NAME}`` and ``${NAME:-default}`` in every other text, then ``*_file`` beside secrets, then pydantic. No complaint
repeats what came from the environment or from such a file.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from probestream.config.fields import Path_, kinds_at, names_file, suggest
from probestream.config.model import Config
from probestream.config.problem import ConfigError, Problem, at_end, read_text, refuse_large
from probestream.config.references import broken
from streams.refusals import said
from streams.rules.expand import written_name

_VARIABLE = re.compile(r"\$(\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
_PREFIX = "PROBESTREAM__"
_UNIQUE = ("targets", "rules", "receivers", "maintenance", "silences", "preferences", "inhibit_rules")
_MAX_NODES = 200_000
_TOO_MANY = "too many nodes, or aliases that unfold into too many"
_QUOTED = re.compile(r"""'([^']+)'|"([^"]+)\"""")


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in the file at `path`. Raises ConfigError."""
    return located(path, environ).config


def load_text(
    text: str, file: str = "<text>", environ: Mapping[str, str] | None = None, base: Path | None = None
) -> Config:
    """The configuration in `text`; `base` is where relative ``*_file`` paths start. Raises ConfigError."""
    return located_text(text, file, environ, base).config


@dataclass(frozen=True, slots=True)
class Located:
    """A configuration, and where its parts stand."""

    config: Config
    at: Callable[[Path_, str], Problem]

    def rule_index(self) -> dict[str, int]:
        """Place in the file of each rule, by its name there; two that came of one have one place."""
        return {name: i for i, name in enumerate(dict.fromkeys(map(written_name, self.config.rules)))}

    data: Mapping[str, Any]  # as written, with variables and files put in


def located(path: Path | str, environ: Mapping[str, str] | None = None) -> Located:
    """As `load`, with the places: ``at(("rules", 0, "value"), text)`` is a problem with that field."""
    path = Path(path)
    return located_text(read_text(path), str(path), environ, path.parent)


def located_text(
    text: str, file: str = "<text>", environ: Mapping[str, str] | None = None, base: Path | None = None
) -> Located:
    """As `load_text`, with the places."""
    refuse_large(text, file)
    environ = os.environ if environ is None else environ
    reader = Reader(file, environ, base or Path.cwd())
    data = reader.read(text)
    reader.override(data)
    data = reader.expand(data, ())
    if reader.problems:
        raise ConfigError(reader.problems)
    return Located(validated(reader, data), reader.problem, data)


def validated(reader: Reader, data: dict[str, Any]) -> Config:
    """The configuration in `data`, which `reader` has read. Raises ConfigError."""
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        told = [reader.explain(e) for e in error.errors()]
        raise ConfigError(sorted(told, key=lambda p: (p.line, p.column))) from error
    reader.unique(data)
    reader.problems += [reader.problem(path, reader.without_hidden(text, path)) for path, text in broken(config)]
    if reader.problems:
        raise ConfigError(reader.problems)
    return config


class Reader:
    """Reads one file, and knows where each of its parts stands."""

    yaml_loader: type[yaml.SafeLoader] = yaml.SafeLoader
    wanted = "the file must be a mapping with targets, rules, ..."

    def __init__(self, file: str, environ: Mapping[str, str], base: Path) -> None:
        self.file, self.environ, self.base = file, environ, base
        self.marks: dict[Path_, tuple[int, int]] = {}
        self.texts: dict[Path_, tuple[int, int]] = {}  # where the text of a value on one line begins
        self.overridden: dict[Path_, str] = {}
        self.literal: set[Path_] = set()  # overrides that are texts: no ${NAME} is looked for in them
        self.hidden: dict[Path_, str] = {}  # values that no message may repeat
        self.hidden_in: defaultdict[Path_, list[str]] = defaultdict(list)  # the same, by every section around them
        self.files: dict[Path_, Path_] = {}  # of a field that a file gave: the ``*_file`` that named it
        self.expanded = 0
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
            self._checked(yaml.compose(text, Loader=self.yaml_loader))
            data = yaml.load(text, Loader=self.yaml_loader)  # noqa: S506 - one that is safe
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise ConfigError([Problem(self.file, line, column, "", f"not YAML: {error.problem}")]) from error
        except ConfigError:
            raise
        except yaml.reader.ReaderError as error:
            before, at = text[: error.position], text[error.position : error.position + 1]
            message = f"not YAML: {f'the character U+{ord(at):04X}' if at else 'a character'} cannot stand here"
            raise ConfigError([at_end(self.file, before.encode(), message)]) from error
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise ConfigError([Problem(self.file, 0, 0, "", f"not YAML: {error}")]) from error
        if self.problems:
            raise ConfigError(self.problems)
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise ConfigError([Problem(self.file, 1, 1, "", self.wanted)])
        return data

    def _checked(self, node: yaml.Node | None) -> None:
        if not _bounded(node):
            raise ConfigError([Problem(self.file, 0, 0, "", _TOO_MANY)])
        self._marks(node, (), 0)

    def _marks(self, node: yaml.Node | None, path: Path_, depth: int) -> None:
        if node is None:
            return
        self.marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if depth > 50:
            raise ConfigError([self.problem(path, "nested too deeply")])
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    mark = key.start_mark
                    raise ConfigError(
                        [Problem(self.file, mark.line + 1, mark.column + 1, _dotted(path), "a key must be a text")]
                    )
                name = str(key.value)
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
        elif isinstance(node, yaml.ScalarNode):
            self._text(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                self._marks(value, (*path, i), depth + 1)

    def _text(self, node: yaml.ScalarNode, path: Path_) -> None:
        if node.start_mark.line == node.end_mark.line and node.style not in ("|", ">"):
            self.texts[path] = (node.start_mark.line + 1, node.start_mark.column + 1 + (node.style in ("'", '"')))

    def override(self, data: dict[str, Any]) -> None:
        """Put ``PROBESTREAM__A__B=value`` at a.b, and ``PROBESTREAM_KAFKA`` at kafka.bootstrap.

        Where the field is a text, the value is that text, and for one that may be absent an empty value is none;
        for other fields it is YAML.
        """
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
                path = (*sections, last)
                self.literal = {p for p in self.literal if p[: len(path)] != path}
                self.overridden[path] = name
                at[last] = self._override(path, name, text)

    def _override(self, path: Path_, name: str, text: str) -> Any:
        kinds = kinds_at(path)
        if kinds - {NoneType} <= {str, SecretStr} and kinds:
            self.literal.add(path)
            return text if text or NoneType not in kinds else None
        try:
            if not _bounded(yaml.compose(text, Loader=yaml.SafeLoader)):
                self.problems.append(Problem(f"environment variable {name}", 0, 0, _dotted(path), _TOO_MANY))
                return None
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text
        except (ValueError, RecursionError):  # their text shows the value
            self.problems.append(Problem(f"environment variable {name}", 0, 0, _dotted(path), "not YAML"))
            return None

    def expand(self, value: Any, path: Path_) -> Any:
        """`value` with its variables and files put in. Raises ConfigError where aliases unfold into too much."""
        self.expanded += 1
        if self.expanded > _MAX_NODES:
            raise ConfigError([self.problem((), _TOO_MANY)])
        if isinstance(value, str):
            done = value if path in self.literal else self._variables(value, path)
            if "${" in value or any(path[:n] in self.overridden for n in range(1, len(path) + 1)):
                self._hide(path, done)
            return done
        if isinstance(value, list):
            return [self.expand(v, (*path, i)) for i, v in enumerate(value)]
        if isinstance(value, dict):
            out: dict[Any, Any] = {}
            for key, inner in value.items():
                here = (*path, str(key))
                expanded = self.expand(inner, here)
                if isinstance(expanded, str) and isinstance(key, str) and names_file(here):
                    name = key.removesuffix("_file")
                    if name in value:
                        self.problems.append(self.problem(here, f"{name} is given as well: choose one"))
                    out[name] = self._file(expanded, inner, here)
                    self._hide((*path, name), out[name])
                    self.files[(*path, name)] = here
                else:
                    out[key] = expanded
            return out
        return value

    def _hide(self, path: Path_, value: str) -> None:
        if value:
            self.hidden[path] = value
            for n in range(len(path)):
                self.hidden_in[path[:n]].append(value)

    def _variables(self, text: str, path: Path_) -> str:
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

    def _file(self, name: str, written: str, path: Path_) -> str:
        """Text of the file `name`; a complaint has the name as `written`, and none that the environment gave."""
        try:
            return (self.base / Path(name).expanduser()).read_text("utf-8").strip()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, an unknown ~user
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            if not isinstance(error, (OSError, UnicodeDecodeError)):
                reason = "no file can have this name"
            shown = "its file" if path in self.overridden else f"file {written}"
            self.problems.append(self.problem(path, f"{shown} cannot be read: {reason}"))
            return ""

    def unique(self, data: dict[str, Any]) -> None:
        for section in _UNIQUE:
            first: dict[str, int] = {}
            for i, item in enumerate(data.get(section) or []):
                name = item.get("name")
                if not name:  # an inhibition may have none
                    continue
                if name in first:
                    line = self.marks.get((section, first[name], "name"), (0, 0))[0]
                    path = (section, i, "name")
                    message = f"{name!r} is already the name of another, in line {line}"
                    self.problems.append(self.problem(path, self.without_hidden(message, path)))
                first.setdefault(name, i)

    def explain(self, error: Any, model: type[BaseModel] = Config) -> Problem:
        """The complaint that one of pydantic's errors makes about a file of `model`."""
        path: Path_ = tuple(error["loc"])
        if error["type"] == "extra_forbidden":
            message = "unknown field" + suggest(path, model)
        elif error["type"] == "missing":
            message = "is required"
        else:
            message = self.without_hidden(said(error), path)
        problem = self.problem(self.files.get(path, path), message)
        offset = error.get("ctx", {}).get("offset")
        written = self.texts.get(path, self.texts.get(path[:-1]))  # a text that stands for a mapping is above its field
        if offset is not None and written is not None and path not in self.hidden and problem.line == written[0]:
            return replace(problem, column=written[1] + offset)
        return problem

    def without_hidden(self, message: str, path: Path_) -> str:
        """`message` about the field at `path` without the values there that environment or files gave."""
        own = [self.hidden[path[:n]] for n in range(len(path) + 1) if path[:n] in self.hidden]
        for value in own + self.hidden_in.get(path, []):
            message = message.replace(repr(value), "'…'")
            if len(value) >= 6:  # a shorter one may be a word of the message
                message = message.replace(value, "…")
        for value in own:  # what is quoted may be a part of it
            message = _QUOTED.sub(lambda m, v=value: "'…'" if (m[1] or m[2]) in v else m[0], message)  # type: ignore[misc]
        return message


def _bounded(node: yaml.Node | None) -> bool:
    """Whether `node`, with every alias unfolded, is of a size that may be read."""
    count, waiting = 0, [] if node is None else [node]
    while waiting:
        count += 1
        if count > _MAX_NODES:
            return False
        at = waiting.pop()
        if isinstance(at, yaml.MappingNode):
            waiting += [value for _, value in at.value]
            waiting += [key for key, _ in at.value if not isinstance(key, yaml.ScalarNode)]
        elif isinstance(at, yaml.SequenceNode):
            waiting += at.value
    return True


def _dotted(path: Path_) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
