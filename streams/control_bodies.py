"""What a control record may carry, by kind: the shape of its body, and what is wrong with one, by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator

from streams.causes import DependencySettings
from streams.inhibition import InhibitRule
from streams.instants import Instant
from streams.labels import label_values
from streams.maintenance import Window
from streams.preferences import Preference
from streams.refusals import said
from streams.rules import Rule
from streams.settings import Settings
from streams.silences import Silence
from streams.units import Duration

UNKNOWN_FIELD = "unknown field"
MOST_BYTES = 64 * 1024
_MOST_ID = 300


class BodyError(ValueError):
    """A body cannot be used; `problems` has field and message of every complaint, none of which repeats a value."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" if field else message for field, message in problems))
        self.problems = problems


class Note(Settings):
    """An acknowledgement, or that a person calls an alert resolved."""

    comment: str = Field(default="", max_length=2000)


class Snooze(Settings):
    """An alert is not told until `until`, milliseconds UTC."""

    until: Instant = Field(validation_alias=AliasChoices("until", "snoozeUntil"))
    comment: str = Field(default="", max_length=2000)


class Threshold(Settings):
    """Numbers of a rule that are other than the rule says, in the unit of its metric: milliseconds, shares."""

    value: float | None = Field(default=None, allow_inf_nan=False)
    recover: float | None = Field(default=None, allow_inf_nan=False)
    warning: float | None = Field(default=None, allow_inf_nan=False)
    critical: float | None = Field(default=None, allow_inf_nan=False)
    comment: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _some(self) -> Threshold:
        if not self.changes:
            raise ValueError("give one of value, recover, warning, critical")
        return self

    @property
    def changes(self) -> dict[str, float]:
        """The rule's fields that it sets."""
        fields = ("value", "recover", "warning", "critical")
        return {name: v for name in fields if (v := getattr(self, name)) is not None}


class TargetFace(Settings):
    """What every role may know of a target. How one of the file is checked, with its secrets, stays there.

    One that no file has may say it in `check`, as under http or tcp of a target of the file, without any secrets.
    """

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    kind: str = Field(max_length=20)
    labels: dict[str, str] = Field(default_factory=dict)
    depends_on: tuple[str, ...] = Field(default=(), max_length=1000)
    every: Duration = Field(default=30.0, gt=0)
    timeout: Duration = Field(default=5.0, gt=0)
    baseline_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    baseline_error_rate: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    check: dict[str, Any] | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _text(cls, labels: Any) -> Any:
        return label_values(labels) if isinstance(labels, dict) else labels

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels as rules and routes see them."""
        return {"kind": self.kind, **self.labels, "target": self.name}


MODELS: Mapping[str, type[Settings]] = {
    "rule": Rule,
    "silence": Silence,
    "ack": Note,
    "snooze": Snooze,
    "resolve": Note,
    "threshold": Threshold,
    "maintenance": Window,
    "target": TargetFace,
    "preference": Preference,
    "inhibit_rule": InhibitRule,
    "dependencies": DependencySettings,
}
# Of these, `name` is the record's id.
NAMED = ("rule", "maintenance", "target")
# A check that somebody wants at once: no state, and so no body.
DEMAND = "check"
# Of these there is one, with this id.
SINGLE: Mapping[str, str] = {"dependencies": "all"}
# What a configuration file can have: taking one out is a change, also before it was ever changed.
DECLARED = ("rule", "maintenance", "silence", "target", "preference", "inhibit_rule", "dependencies")
# Written by the program itself beside a change: who changed what, and what the file said last.
OWN = ("audit", "file")
# The `file` record that says: the file has other targets than before, let those who check them read it again.
TARGETS_READ = "targets"


def parse_body(kind: str, key: str, body: str | bytes | Mapping[str, Any]) -> Any:
    """The body of a record of `kind` with the id `key`, checked: the kind's model, or a dict for `OWN` kinds.

    Raises BodyError.
    """
    if kind not in MODELS and kind not in OWN:
        raise BodyError([("kind", f"{kind!r:.60} is none of {', '.join(MODELS)}")])
    if not key or len(key) > _MOST_ID + 100 * (kind in OWN) or any(c < " " for c in key):
        raise BodyError([("id", f"an id has 1 to {_MOST_ID} printable characters")])
    if SINGLE.get(kind, key) != key:
        raise BodyError([("id", f"there is one {kind} only: {SINGLE[kind]}")])
    values = _object(body)
    if kind in OWN:
        return values
    if kind in NAMED:
        if values.get("name", key) != key:
            raise BodyError([("name", "is not the id under which it is written")])
        values["name"] = key
    elif kind == "preference" and values.get("name") == key:  # as the file has it
        del values["name"]
    try:
        return MODELS[kind].model_validate(values)
    except ValidationError as error:
        raise BodyError(problems(error)) from error
    except RecursionError:
        raise BodyError([("", "nested too deeply")]) from None


def _object(body: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(body, (str, bytes)):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BodyError([("", f"the body is not JSON: {error}")]) from error
    if not isinstance(body, Mapping):
        raise BodyError([("", "the body must be an object")])
    return dict(body)


def problems(error: ValidationError) -> list[tuple[str, str]]:
    """Field and message of each complaint."""
    return [(".".join(str(p) for p in e["loc"]), _words(e)) for e in error.errors(include_url=False)]


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return UNKNOWN_FIELD
    if error["type"] == "missing":
        return "is required"
    return said(error)
