"""Settings of the logs role."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from streams.log_classes import DEFAULT
from streams.settings import Settings
from streams.units import Duration

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
_TAKEN = frozenset(
    ("lines", "errors", "warnings", "new_templates", "new_errors", "repeats", "template_overflow", "cut", "mistimed")
)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise ValueError(f"no regular expression: {error.msg}{where}") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class LogsSettings(Settings):
    """The logs role: how lines are counted."""

    interval: Duration = Field(default=5.0, ge=1, le=60, description="Each target's lines are one sample so often.")
    settle: Duration = Field(
        default=2.0, le=60, description="How long after its end an interval waits for lines that are still under way."
    )
    learn: Duration = Field(
        default=600.0, description="How long after a target's first line its templates are not called new."
    )
    quiet_after: Duration = Field(
        default=3600.0, description="How long after its last line a target still has samples, of zero lines."
    )
    max_templates: int = Field(
        default=200, ge=10, le=1000, description="Templates kept for a target; the one not seen for longest goes."
    )
    top_templates: int = Field(
        default=5, ge=0, le=50, description="The most frequent error templates that get a metric log.template.ID."
    )
    similarity: float = Field(
        default=0.6, gt=0, le=1, description="Share of words in which a line must agree with its template."
    )
    max_line: int = Field(default=4096, ge=100, le=16_384, description="Characters of a line that are looked at.")
    max_targets: int = Field(
        default=10_000, ge=1, description="Targets that one partition keeps; the one silent for longest goes."
    )
    masks: dict[str, Pattern] = Field(
        default_factory=dict,
        description="What varies from line to line, beside numbers, addresses and ids: name and regular expression.",
    )
    classes: dict[str, Pattern] = Field(
        default_factory=dict,
        description="Metric log.NAME counts lines that match the regular expression. Added to the built-in ones: "
        f"{', '.join(DEFAULT)}; one with the same name replaces it, an empty text removes it.",
    )

    @model_validator(mode="after")
    def _names(self) -> LogsSettings:
        for field, names in (("masks", self.masks), ("classes", self.classes)):
            for name in names:
                if not _NAME.fullmatch(name):
                    raise ValueError(f"{field}: {name!r} is no name: lower-case letters, digits and _, at most 50")
        if taken := sorted(_TAKEN & self.classes.keys()):
            raise ValueError(f"classes: log.{taken[0]} is a metric already; choose another name")
        if empty := [name for name, pattern in self.masks.items() if re.search(pattern, "") is not None]:
            raise ValueError(f"masks: {empty[0]!r} matches the empty text, and would be found everywhere")
        return self

    @property
    def all_classes(self) -> dict[str, str]:
        """The built-in classes with the configured ones."""
        return {name: pattern for name, pattern in {**DEFAULT, **self.classes}.items() if pattern}
