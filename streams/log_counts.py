"""Lines of one target, counted by interval of event time, and the samples that are made of the counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.log_classes import Classes
from streams.log_templates import Template, Templates
from streams.log_text import Masker, level_of, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "log."
_MOST_MESSAGE = 1000
_MOST_EXAMPLE = 200
_AHEAD_MS = 60_000.0
_BEHIND_MS = 3_000_000.0  # samples over an hour old are refused further on: this leaves ten minutes to get there


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How lines become counts. Times are milliseconds."""

    interval_ms: float
    learn_ms: float
    most_templates: int
    top_templates: int
    similarity: float
    most_characters: int
    mask: Masker
    classes: Classes

    @classmethod
    def of(
        cls,
        *,
        interval_s: float,
        learn_s: float,
        most_templates: int,
        top_templates: int,
        similarity: float,
        most_characters: int,
        masks: Mapping[str, str],
        classes: Mapping[str, str],
    ) -> Counting:
        """From the values of a configuration. Raises ValueError on a bad pattern."""
        return cls(
            interval_ms=interval_s * 1000.0,
            learn_ms=learn_s * 1000.0,
            most_templates=most_templates,
            top_templates=top_templates,
            similarity=similarity,
            most_characters=most_characters,
            mask=Masker(masks),
            classes=Classes(classes),
        )


class LogSample(NamedTuple):
    """What one interval of one target came to; `time` is the interval's start in milliseconds."""

    target: str
    time: float
    metrics: dict[str, float]
    status: str
    message: str


@dataclass(slots=True)
class Interval:
    """Counts of one interval."""

    lines: int = 0
    errors: int = 0
    warnings: int = 0
    new_templates: int = 0
    new_errors: int = 0
    overflow: int = 0
    cut: int = 0
    mistimed: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    templates: dict[int, int] = field(default_factory=dict)  # errors by template
    notes: dict[str, str] = field(default_factory=dict)  # an example of each thing worth telling

    def dump(self) -> list[Any]:
        """Plain values, for `load`."""
        return [
            [self.lines, self.errors, self.warnings, self.new_templates, self.new_errors, self.overflow, self.cut,
             self.mistimed], self.classes, {str(k): v for k, v in self.templates.items()}, self.notes,
        ]  # fmt: skip

    @classmethod
    def load(cls, values: list[Any]) -> Interval:
        """The interval that `dump` gave."""
        numbers, classes, templates, notes = values
        lines, errors, warnings, new_templates, new_errors, overflow, cut, mistimed = map(int, numbers)
        return cls(
            lines, errors, warnings, new_templates, new_errors, overflow, cut, mistimed,
            dict(classes), {int(k): int(v) for k, v in templates.items()}, dict(notes),
        )  # fmt: skip


class Book:
    """What is known of one target's lines: its templates, and the intervals that are not told yet."""

    def __init__(self, target: str, counting: Counting) -> None:
        self.target, self._c = target, counting
        self.templates = Templates(
            counting.mask, counting.classes.of_text, counting.most_templates, counting.similarity
        )
        self.open: dict[int, Interval] = {}
        self.first = 0.0
        self.last = 0.0

    def add(self, text: str, time_ms: float | None, level: str, arrived_ms: float) -> None:
        """Count one line; without a time, or with one that cannot be, it counts when it arrived."""
        c = self._c
        if not self.first:
            self.first = arrived_ms
        self.last = max(self.last, arrived_ms)
        mistimed = time_ms is not None and not arrived_ms - _BEHIND_MS <= time_ms <= arrived_ms + _AHEAD_MS
        at = arrived_ms if time_ms is None or mistimed else time_ms
        number = int(at // c.interval_ms)
        interval = self.open.get(number)
        if interval is None:
            interval = self.open[number] = Interval()
        interval.lines += 1
        interval.mistimed += mistimed
        if len(text) > c.most_characters:
            text = text[: c.most_characters]
            interval.cut += 1
        text = redact(text)
        match = self.templates.add(text)
        level = level_of(level) or match.level
        for name in (*match.classes, *c.classes.of_line(text)):
            interval.classes[name] = interval.classes.get(name, 0) + 1
            interval.notes.setdefault(name, text[:_MOST_EXAMPLE])
        template = match.template
        interval.overflow += match.overflow
        new = match.new and arrived_ms - self.first >= c.learn_ms
        if level == "error":
            interval.errors += 1
            interval.templates[template.id] = interval.templates.get(template.id, 0) + 1
        elif level == "warning":
            interval.warnings += 1
        if new:
            self._note_new(interval, template, text, level)

    def _note_new(self, interval: Interval, template: Template, text: str, level: str) -> None:
        interval.new_templates += 1
        kind = "new"
        if level == "error":
            interval.new_errors += 1
            kind = "new_error"
        interval.notes.setdefault(kind, f"{template.text[:_MOST_EXAMPLE]}; for example: {text[:_MOST_EXAMPLE]}")

    def close(self, number: int) -> LogSample:
        """The sample of interval `number`, which is forgotten; all zeros where no line fell into it."""
        interval = self.open.pop(number, None) or Interval()
        top = sorted(interval.templates.items(), key=lambda i: (-i[1], i[0]))
        metrics = {
            "lines": interval.lines, "errors": interval.errors, "warnings": interval.warnings,
            "new_templates": interval.new_templates, "new_errors": interval.new_errors,
            "repeats": top[0][1] if top else 0, "template_overflow": interval.overflow,
            "cut": interval.cut, "mistimed": interval.mistimed,
            **{name: interval.classes.get(name, 0) for name in self._c.classes.names},
            **{f"template.{i}": n for i, n in top[: self._c.top_templates]},
        }  # fmt: skip
        status, message = self._tell(interval, top)
        return LogSample(
            self.target,
            number * self._c.interval_ms,
            {PREFIX + name: float(value) for name, value in metrics.items()},
            status,
            message[:_MOST_MESSAGE],
        )

    def _tell(self, interval: Interval, top: list[tuple[int, int]]) -> tuple[str, str]:
        """Status and text for people: what is new first, then what is repeated most, then the classes."""
        told: list[tuple[str, str]] = []
        if "new_error" in interval.notes:
            told.append(("new error", f"new error: {interval.notes['new_error']}"))
        elif "new" in interval.notes:
            told.append(("new template", f"new: {interval.notes['new']}"))
        if top:
            number, count = top[0]
            template = self.templates.by_id.get(number)
            if template is not None:
                example = f"; for example: {template.example[:_MOST_EXAMPLE]}" if not told else ""
                told.append(("errors", f"{count}x {template.text[:_MOST_EXAMPLE]}{example}"))
        for name in self._c.classes.names:
            if name in interval.notes:
                word = name.replace("_", " ")
                told.append((word, f"{interval.classes[name]} {word}, for example: {interval.notes[name]}"))
        return (told[0][0], " | ".join(text for _, text in told)) if told else ("", "")

    def dump(self) -> dict[str, Any]:
        """What must survive besides the open intervals, as plain values."""
        return {"first": self.first, "last": self.last, "templates": self.templates.dump()}

    def load(self, values: dict[str, Any]) -> None:
        """Know what `dump` gave."""
        self.first, self.last = float(values["first"]), float(values["last"])
        self.templates.load(values["templates"])
