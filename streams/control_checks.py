"""What a change must agree with: the other rules, the targets there are, and no cycle in what depends on what."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from streams.control import Controls, with_threshold
from streams.control_bodies import BodyError, TargetFace, Threshold, parse_body, problems
from streams.dependencies import Dependencies, DependencyError, Dependent
from streams.preferences import Preference
from streams.rules import Rule, together

if TYPE_CHECKING:
    from streams.control_client import Edit


class Checks:
    """What the configuration file has, with which every change is held together. Raises BodyError when called.

    `probed` says how a target would be checked, and raises ValidationError of its check, or ValueError of its kind,
    where it cannot be. `receivers` are those that preferences may be about, where they are known.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        targets: Iterable[Dependent] = (),
        probed: Callable[[TargetFace], object] | None = None,
        receivers: Iterable[str] = (),
    ) -> None:
        self.rules, self.targets, self._probed = tuple(rules), {t.name: t for t in targets}, probed
        self.receivers = set(receivers)

    def __call__(self, controls: Controls, edits: Sequence[Edit]) -> None:
        kinds: dict[str, dict[str, Edit]] = {}
        for edit in edits:
            kinds.setdefault(edit.kind, {})[edit.id] = edit
        if "rule" in kinds:
            self._rules(controls, kinds["rule"])
        for edit in kinds.get("threshold", {}).values():
            if edit.body is not None:
                self._threshold(controls.rules(self.rules), edit)
        self._reachable(kinds.get("preference", {}).values())
        if "target" in kinds:
            self._graph(controls, kinds["target"])
            self._checkable(kinds["target"].values())
        names = self._target_names(controls, kinds.get("target", {}))
        for edit in kinds.get("maintenance", {}).values():
            for i, name in enumerate((edit.body or {}).get("targets", ())):
                if name not in names:
                    raise BodyError([(f"targets.{i}", f"no target is named {name!r}{_meant(name, names)}")])

    def _rules(self, controls: Controls, edits: Mapping[str, Edit]) -> None:
        live: dict[str, Rule] = controls.live("rule")
        there = {r.name for r in controls.rules(self.rules)} | {r.alert_name for r in controls.rules(self.rules)}
        for name, edit in edits.items():
            if edit.body is None and name not in there:
                raise BodyError([("name", f"no rule is named {name!r}{_meant(name, there)}")])
        touched = {r.id for r in controls.records("rule")} | edits.keys()
        new = {n: e.body for n, e in edits.items() if e.body is not None}
        rules = [r for r in self.rules if r.name not in touched and r.pair not in touched]
        rules += [r for n, r in live.items() if n not in edits]
        first = len(rules)
        rules += [parse_body("rule", n, body) for n, body in new.items()]
        try:
            together(rules)
        except ValidationError as error:
            raise BodyError([self._placed(p, rules, first) for p in problems(error)]) from error

    @staticmethod
    def _placed(problem: tuple[str, str], rules: Sequence[Rule], first: int) -> tuple[str, str]:
        """A complaint about the edited rule has its field; one about another has that one's name."""
        index, _, field = problem[0].partition(".")
        if not index.isdigit() or int(index) >= len(rules):
            return problem
        return (field, problem[1]) if int(index) >= first else (f"rule {rules[int(index)].name}: {field}", problem[1])

    @staticmethod
    def _threshold(rules: Sequence[Rule], edit: Edit) -> None:
        meant = [r for r in rules if edit.id in (r.name, r.pair)]
        if not meant:
            names = {r.alert_name for r in rules}
            raise BodyError([("id", f"no rule is named {edit.id!r}{_meant(edit.id, names)}")])
        threshold: Threshold = parse_body("threshold", edit.id, edit.body or {})
        numbers = {r.severity: r for r in (with_threshold(r, threshold) for r in meant)}
        mild, bad = numbers.get("warning"), numbers.get("critical")
        if mild is None or bad is None or not {"warning", "critical"} & threshold.changes.keys():
            return
        rises = mild.operator in (">", ">=")
        if not (bad.value > mild.value if rises else bad.value < mild.value):
            side = "above" if rises else "below"
            text = f"thresholds cross: critical ({bad.value:g}) must be {side} warning ({mild.value:g})"
            raise BodyError([("critical" if "critical" in threshold.changes else "warning", text)])

    def _reachable(self, edits: Iterable[Edit]) -> None:
        for edit in edits:
            if edit.body is None or not self.receivers:
                continue
            wish: Preference = parse_body("preference", edit.id, edit.body)
            for i, name in enumerate(wish.reaches(edit.id)):
                if name not in self.receivers:
                    field = f"receivers.{i}" if wish.receivers else "receivers"
                    raise BodyError([(field, f"no receiver is named {name!r}{_meant(name, self.receivers)}")])

    def _checkable(self, edits: Iterable[Edit]) -> None:
        for edit in edits:
            if edit.body is None or self._probed is None:
                continue
            try:
                self._probed(parse_body("target", edit.id, edit.body))
            except ValidationError as error:
                raise BodyError([(f"check.{field}", text) for field, text in problems(error)]) from error
            except ValueError as error:
                raise BodyError([("kind", str(error))]) from error

    def _target_names(self, controls: Controls, edits: Mapping[str, Edit]) -> set[str]:
        names = set(self.targets)
        for record in controls.records("target"):
            (names.discard if record.deleted else names.add)(record.id)
        for name, edit in edits.items():
            (names.discard if edit.body is None else names.add)(name)
        return names

    def _graph(self, controls: Controls, edits: Mapping[str, Edit]) -> None:
        nodes = self.targets | controls.live("target")
        nodes |= {n: parse_body("target", n, e.body) for n, e in edits.items() if e.body is not None}
        names = self._target_names(controls, edits)
        kept = [node for name, node in nodes.items() if name in names]
        try:
            Dependencies(kept)
        except DependencyError as error:
            raise BodyError(
                [(f"target {kept[i].name}: depends_on.{j}", message) for i, j, message in error.problems]
            ) from error


def _meant(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
