"""How tests of rules came out, for people and for scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streams.rule_tests.result import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from probestream.config.problem import Problem
    from probestream.rule_tests.load import Loaded
    from streams.rule_tests.coverage import Coverage
    from streams.rule_tests.result import Failure, Result


@dataclass(slots=True)
class Report:
    """The outcome of every test, the files that could not be loaded, and what was covered by configuration file."""

    results: list[tuple[Loaded, int, Result]] = field(default_factory=list)
    unloaded: dict[str, list[Problem]] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(not result.passed for _, _, result in self.results)

    @property
    def share(self) -> float:
        """Share of all rules that fired in some test."""
        rules = sum(len(c.rules) for c in self.coverage.values())
        return sum(len(c.fired) for c in self.coverage.values()) / rules if rules else 1.0


def place(loaded: Loaded, test: int, failure: Failure | None = None) -> Problem:
    """Where a test stands in its file, or what of it failed; the message is empty."""
    path = ("tests", test) if failure is None else ("tests", test, *failure.path)
    return loaded.at(path, "")


def _where(problem: Problem) -> str:
    return f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file


def details(loaded: Loaded, test: int, failure: Failure) -> Iterator[str]:
    """A failure in lines: where, what was wanted, what there is, and why."""
    at = f": at {clock(failure.at_s)}" if failure.at_s is not None else ""
    yield f"{_where(place(loaded, test, failure))}{at}"
    yield f"  wanted  {failure.wanted}"
    for i, line in enumerate(failure.got):
        yield f"  {'got' if i == 0 and not failure.is_difference else '':<6}  {line}"
    for i, line in enumerate(failure.why):
        yield f"  {'why' if i == 0 else '':<6}  {line}"


def lines(report: Report, *, verbose: bool, coverage: bool) -> Iterator[str]:
    """The whole report for people."""
    for problems in report.unloaded.values():
        yield from map(str, problems)
    for loaded, test, result in report.results:
        if result.passed and not verbose:
            continue
        yield f"{'ok  ' if result.passed else 'FAIL'} {_where(place(loaded, test))} {result.name}"
        for failure in result.failures:
            yield from (f"  {line}" for line in details(loaded, test, failure))
    if coverage:
        for file, covered in report.coverage.items():
            yield from _coverage(file, covered)
    yield _summary(report)


def _summary(report: Report) -> str:
    passed = len(report.results) - report.failed
    parts = [f"{passed} passed", *((f"{report.failed} failed",) if report.failed else ())]
    if report.unloaded:
        count = len(report.unloaded)
        parts.append(f"{count} file{'s' if count > 1 else ''} could not be loaded")
    return f"{', '.join(parts)} in {report.took_s:.1f} s"


def _coverage(file: str, covered: Coverage) -> Iterator[str]:
    yield f"{file}: {len(covered.fired)} of {len(covered.rules)} rules fired ({covered.share:.0%})"
    for text, names in _gaps(covered).items():
        if names:
            yield f"  {text}: {', '.join(names)}"


def _gaps(covered: Coverage) -> Mapping[str, list[str]]:
    return {
        "never fired": covered.never_fired,
        "fired, but no test wanted it": covered.never_wanted,
        "severities that no test wanted": covered.untested_severities,
        "states that no test wanted": covered.untested_states,
    }


def as_json(report: Report) -> dict[str, Any]:
    """The whole report for scripts."""
    return {
        "passed": len(report.results) - report.failed,
        "failed": report.failed,
        "seconds": round(report.took_s, 3),
        "not_loaded": [
            {"file": p.file, "line": p.line, "column": p.column, "field": p.field, "message": p.message}
            for problems in report.unloaded.values()
            for p in problems
        ],
        "tests": [_test(loaded, test, result) for loaded, test, result in report.results],
        "coverage": {
            "share": round(report.share, 4),
            "files": {
                file: {
                    "rules": len(c.rules),
                    "fired": sorted(c.fired),
                    "share": round(c.share, 4),
                    "never_fired": c.never_fired,
                    "never_wanted": c.never_wanted,
                    "untested_severities": c.untested_severities,
                    "untested_states": c.untested_states,
                }
                for file, c in report.coverage.items()
            },
        },
    }


def _test(loaded: Loaded, test: int, result: Result) -> dict[str, Any]:
    where = place(loaded, test)
    return {
        "file": loaded.file,
        "line": where.line,
        "name": result.name,
        "passed": result.passed,
        "seconds": round(result.took_s, 3),
        "failures": [
            {
                "line": place(loaded, test, f).line,
                "column": place(loaded, test, f).column,
                "field": place(loaded, test, f).field,
                "at_s": f.at_s,
                "wanted": f.wanted,
                "got": list(f.got),
                "why": list(f.why),
            }
            for f in result.failures
        ],
        "transitions": [
            {
                "at_s": (a.at - result.start_ms) / 1000.0,
                "rule": a.rule,
                "target": a.target,
                "state": a.state,
                "reason": a.reason,
                "severity": a.severity,
                "told": a.notify,
            }
            for a in result.transitions
        ],
    }
