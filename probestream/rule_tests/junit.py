"""JUnit's XML, as CI systems read it: a suite a file, a case a test, and in the order that the schema wants."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from probestream.rule_tests.report import details

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probestream.config.problem import Problem
    from probestream.rule_tests.load import Loaded
    from probestream.rule_tests.report import Report
    from streams.rule_tests.result import Result

# What XML 1.0 has no place for, however it is escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Element = ET.Element


def junit(report: Report, now_ms: float, host: str) -> str:
    """The report as an XML document, of a run on `host` at `now_ms`."""
    suites: dict[str, list[tuple[Loaded, int, Result]]] = {}
    for loaded, test, result in report.results:
        suites.setdefault(loaded.file, []).append((loaded, test, result))
    root = _element("testsuites")  # the strictest schema has no attributes here
    stamp = datetime.fromtimestamp(now_ms / 1000.0, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for number, (file, results) in enumerate(suites.items()):
        failed = sum(not r.passed for _, _, r in results)
        took = sum(r.took_s for _, _, r in results)
        suite = _suite(root, file, number, (len(results), failed, 0), took, stamp, host)
        for loaded, test, result in results:
            _case(suite, file, loaded, test, result)
        _end(suite)
    for number, (file, problems) in enumerate(report.unloaded.items(), start=len(suites)):
        suite = _suite(root, file, number, (1, 0, 1), 0.0, stamp, host)
        _unloaded(suite, file, problems)
        _end(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _element(tag: str, **attributes: str) -> Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _suite(
    root: Element, file: str, number: int, counts: tuple[int, int, int], took_s: float, stamp: str, host: str
) -> Element:
    tests, failures, errors = map(str, counts)
    suite = _element(
        "testsuite", name=file, tests=tests, failures=failures, errors=errors, skipped="0", time=f"{took_s:.3f}",
        timestamp=stamp, hostname=host, id=str(number), package="probestream",
    )  # fmt: skip
    suite.append(_element("properties"))
    root.append(suite)
    return suite


def _end(suite: Element) -> None:
    suite.append(_element("system-out"))
    suite.append(_element("system-err"))


def _case(suite: Element, file: str, loaded: Loaded, test: int, result: Result) -> None:
    case = _element("testcase", name=result.name, classname=file, time=f"{result.took_s:.3f}")
    suite.append(case)
    if result.failures:
        # The schema has room for one.
        first = result.failures[0]
        more = f" (and {len(result.failures) - 1} more)" if len(result.failures) > 1 else ""
        failure = _element("failure", message=f"wanted {first.wanted}{more}", type="unlike")
        told: Iterable[str] = (line for f in result.failures for line in details(loaded, test, f))
        failure.text = _clean("\n".join(told))
        case.append(failure)


def _unloaded(suite: Element, file: str, problems: list[Problem]) -> None:
    case = _element("testcase", name="the file can be loaded", classname=file, time="0.000")
    error = _element("error", message=str(problems[0]), type="not-loaded")
    error.text = _clean("\n".join(map(str, problems)))
    case.append(error)
    suite.append(case)
