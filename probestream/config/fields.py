"""The fields of the configuration's models, found by their path in the file."""

from __future__ import annotations

import difflib
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from probestream.config.model import Config

Path_ = tuple["str | int", ...]


def suggest(path: Path_, whole: type[BaseModel] = Config) -> str:
    """What may have been meant by the unknown field at `path` of a file of `whole`, as the end of a sentence."""
    model = _model_at(path[:-1], whole)
    names = [f.alias or _first(f) or n for n, f in model.model_fields.items()] if model else []
    close = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(sorted(names))}" if names else ""


def names_file(path: Path_) -> bool:
    """Whether the field at `path` is the ``*_file`` of a secret; in a free mapping such as labels none is."""
    name = str(path[-1])
    if not name.endswith("_file") or _field_at(path) is not None:
        return False
    secret = _field_at((*path[:-1], name.removesuffix("_file")))
    return secret is not None and SecretStr in _kinds(secret.annotation)


def kinds_at(path: Path_) -> set[Any]:
    """Types that the field at `path` takes; none where there is no such field."""
    if names_file(path):
        return {str}
    field = _field_at(path)
    return _kinds(field.annotation) if field else set()


def _kinds(annotation: Any) -> set[Any]:
    """The types in a union, or the one type; what a container holds is not among them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    return {annotation}


def _field_at(path: Path_) -> FieldInfo | None:
    model = _model_at(path[:-1])
    return _field(model, path[-1]) if model and path else None


def _field(model: type[BaseModel], name: str | int) -> FieldInfo | None:
    return next((f for n, f in model.model_fields.items() if name in (n, f.alias, *_choices(f))), None)


def _choices(field: FieldInfo) -> list[Any]:
    """The names of a field that has several."""
    return field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []


def _first(field: FieldInfo) -> str:
    return str(next(iter(_choices(field)), ""))


def _model_at(path: Path_, whole: type[BaseModel] = Config) -> type[BaseModel] | None:
    """The model of the section at `path`; that of an item of a list is the list's."""
    model: type[BaseModel] | None = whole
    for step in path:
        if isinstance(step, int):
            continue
        field = _field(model, step) if model else None
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
