"""``probestream test``: files, places, reports, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from probestream.cli import app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "rule-tests.md").read_text("utf-8")
ERRORS = (
    '{name: errors, metric: consecutive_failures, operator: ">=", value: 1, for: 1m, severity: critical, '
    'annotations: {summary: "{{ target }}: {{ message }}"}}'
)
RULES = f"rules:\n  - {ERRORS}\n  - {{name: full, metric: disk.used_percent, value: 90}}\n"
TARGETS = "targets: [{name: shop, labels: {team: web}, push: {}}, {name: 'db:9100', push: {}}]\n"
GOOD = """interval: 30s
tests:
  - name: good
    input_series: [{target: shop, ok: 1x2 0x9}]
    alerts: [{at: 3m, rule: errors}]
"""
BAD = GOOD.replace("name: good", "name: bad").replace("rule: errors", "rule: errors, severity: info")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(text, *options, name="t.yaml"):
        Path(name).write_text(text)
        return CliRunner().invoke(app, ["test", name, *options])

    return call


def test_what_is_as_wanted_is_exit_code_0(run):
    """One line; with -v each test."""
    done = run(RULES + GOOD)
    assert done.exit_code == 0
    assert re.fullmatch(r"1 passed in \d+\.\d s\n", done.stdout)
    assert run(RULES + GOOD, "-v").stdout.startswith("ok   t.yaml:6:5 good\n")


def test_what_is_not_is_exit_code_1_with_place_and_reason(run):
    """The test, the very line of what was wanted, what there is, and what the rule saw."""
    done = run(RULES + BAD)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[:-1] == [
        "FAIL t.yaml:6:5 bad",
        "  t.yaml:8:14: at 3m",
        "    wanted  errors: firing, info",
        "    got     errors of shop: firing since 2m30s (duration_elapsed), critical",
        "              severity: wanted info, got critical",
        "    why     errors of shop: consecutive_failures >= 1 holds: 4",
    ]
    assert done.stdout.splitlines()[-1].startswith("0 passed, 1 failed in ")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (GOOD, "t.yaml", "which rules? name their file in config"),
        (RULES + GOOD.replace("errors", "erors"), "8:23", "there is no rule 'erors'; did you mean 'errors'?"),
        (RULES + GOOD.replace("0x9", "0x9 1+x"), "7:48", "after + comes a step"),
        (RULES + GOOD.replace("0x9", '"', 1).replace("1x2", '"1x2 y'), "7:44", "'y' is no value"),
        (RULES + GOOD.replace("target: shop", "taget: shop"), "7:21", "unknown field; did you mean target?"),
        (RULES + GOOD.replace("3m,", "3 minutes,"), "8:15", "is no duration"),
        (RULES + GOOD.replace("errors}", "errors, state: fring}"), "8:37", "did you mean firing?"),
        (RULES + GOOD.replace("alerts:", "alert:"), "8:5", "did you mean alerts?"),
        (RULES + GOOD.replace("tests:", "test:"), "5:1", "did you mean tests?"),
        (RULES.replace("full", "errors") + GOOD, "3:6", "already the name of another"),
        (RULES + "config: x.yaml\n" + GOOD, "1:1", "config is given as well"),
        ("config: x.yaml\n" + GOOD, "1:1", "there is no file x.yaml"),
        ("rule_files: [a.yaml, b.yaml]\n" + GOOD, "1:1", "one configuration is wanted"),
        (RULES + TARGETS + GOOD.replace("shop", "shp"), "8:21", "no target 'shp'; did you mean 'shop'?"),
        (RULES + TARGETS + GOOD.replace("shop,", "shop, labels: {team: x},"), "8:35", "label team of target 'shop' is 'web'"),
        (RULES + GOOD.replace("ok: 1x2 0x9", "metrics: {disk.used_pecent: 1}"), "7:45", "did you mean disk.used_percent?"),
        (RULES + GOOD + "    events: [{at: 1m, ack: errors, for: 1h}]", "9:36", "ack lasts until"),
        (RULES + GOOD + "    events: [{at: 1m, expire: s}]", "9:23", "there is no silence or window 's'"),
        (RULES + GOOD + "    promql_expr_test: []", "9:5", "there is no PromQL here"),
        (RULES + "tests: []", "4:1", "there is no test"),
        (RULES + GOOD.partition("    alerts:")[0], "6:5", "wants nothing: give alerts"),
        (RULES + GOOD.replace("at: 3m", "at: 101d"), "6:5", "would last 101d, at most 100d"),
        (RULES + GOOD.replace("0x9", "0x400000"), "6:5", "would last 138d21h"),
        (RULES + "tests: [{", "4:10", "not YAML"),
    ],
)  # fmt: skip
def test_errors_have_file_line_and_column(run, text, place, said):
    """At the very field, or the very character of a series, and with what would be right; exit code 2."""
    done = run(text)
    assert done.exit_code == 2
    assert place in done.output
    assert said in done.output
    assert "1 file could not be loaded" in done.output


def test_errors_of_the_configuration_are_those_of_check(run, tmp_path):
    """In the file where they are."""
    (tmp_path / "conf.yaml").write_text(RULES.replace("errors", "er rors/", 1))
    done = run("config: conf.yaml\n" + GOOD)
    assert done.exit_code == 2
    assert "conf.yaml:2:" in done.output


def test_a_file_that_does_not_load_does_not_keep_others_from_running(run, tmp_path):
    """Their outcome is told; the exit code is 2."""
    (tmp_path / "other.yaml").write_text(RULES + BAD)
    done = run(GOOD, "other.yaml")
    assert done.exit_code == 2
    assert "FAIL other.yaml" in done.output
    assert "1 failed, 1 file could not be loaded" in done.output


def test_series_is_a_name_of_input_series(run):
    """The shorter one."""
    assert run(RULES + GOOD.replace("input_", "")).exit_code == 0
    wrong = run(RULES + GOOD.replace("input_", "").replace("0x9", "0y"))
    assert "tests[0].series[0].ok: '0y'" in wrong.output


def test_zero_times_many_is_a_series_and_no_hexadecimal_number(run):
    """YAML itself would read 0x10 as 16, and 1:30 as 90."""
    done = run(RULES + GOOD.replace("1x2 0x9", "0x10"))
    assert done.exit_code == 0


def test_the_configuration_is_found_from_the_files_own_folder(run, tmp_path):
    """Not from where the command is called."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "conf.yaml").write_text(RULES + TARGETS)
    assert run("config: conf.yaml\n" + GOOD, name="deep/t.yaml").exit_code == 0


def test_json_for_scripts(run):
    """Places, what was wanted, what there is, transitions, coverage."""
    done = run(RULES + GOOD + BAD.split("tests:\n")[1], "--json")
    told = json.loads(done.stdout)
    assert (told["passed"], told["failed"], done.exit_code) == (1, 1, 1)
    (failure,) = told["tests"][1]["failures"]
    assert (failure["line"], failure["column"], failure["at_s"]) == (11, 14, 180)
    assert [t["state"] for t in told["tests"][0]["transitions"]] == ["pending", "firing"]
    assert told["coverage"]["files"]["t.yaml"]["never_fired"] == ["full"]
    assert told["coverage"]["share"] == 0.5
    assert json.loads(run(GOOD, "--json").stdout)["not_loaded"][0]["file"] == "t.yaml"


def test_coverage_and_its_minimum(run):
    """Exit code 1 where fewer rules fired than wanted, though all tests pass."""
    done = run(RULES + GOOD, "--coverage")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:-1] == [
        "t.yaml: 1 of 2 rules fired (50%)",
        "  never fired: full",
        "  severities that no test wanted: warning",
        "  states that no test wanted: pending, resolved",
    ]
    assert run(RULES + GOOD, "--min-coverage", "50").exit_code == 0
    short = run(RULES + GOOD, "--min-coverage", "51")
    assert (short.exit_code, "coverage is 50.0%, at least 51 % are wanted" in short.output) == (1, True)


def test_coverage_of_a_configuration_is_that_of_all_files_about_it(run, tmp_path):
    """What one file leaves, another may cover."""
    (tmp_path / "conf.yaml").write_text(RULES)
    (tmp_path / "other.yaml").write_text(
        "config: conf.yaml\ntests: [{series: [{target: db, metrics: {disk.used_percent: 95}}],"
        " alerts: [{at: 0, rule: full}]}]"
    )
    assert run("config: conf.yaml\n" + GOOD, "other.yaml", "--min-coverage", "100").exit_code == 0


def test_some_tests_can_be_chosen(run):
    """By a part of their name; none is wrong use."""
    both = RULES + GOOD + BAD.split("tests:\n")[1]
    assert run(both, "-k", "good").exit_code == 0
    assert run(both, "-k", "bad").exit_code == 1
    assert "no test has 'other' in its name" in str(run(both, "-k", "other").exception)


# Of the JUnit schema that CI systems agree on: attributes that there must be, and the order of what is inside.
NEEDED = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors", "time", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type"},
    "error": {"type"},
}
INSIDE = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "testcase": ["failure", "error"],
}
ALLOWED = {
    "testsuites": set(),
    "testsuite": NEEDED["testsuite"] | {"skipped"},
    "testcase": NEEDED["testcase"],
    "failure": {"type", "message"},
    "error": {"type", "message"},
}


def conforms(element):
    """Fails where an element is not as the schema has it."""
    assert NEEDED.get(element.tag, set()) <= set(element.keys()) <= ALLOWED.get(element.tag, set())
    order = [INSIDE[element.tag].index(child.tag) for child in element]
    assert order == sorted(order)
    for child in element:
        conforms(child) if len(child) or child.tag in INSIDE else None
    for name in ("tests", "failures", "errors", "id"):
        assert element.get(name, "0").isdigit()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp", "2026-01-01T00:00:00"))


def test_junit_for_ci_systems(run, tmp_path):
    """Suites, cases, failures and errors with counts, also of a file that could not be loaded; no character is lost."""
    (tmp_path / "broken.yaml").write_text(GOOD)
    text = RULES + GOOD.replace("name: good", 'name: "<good> & \\x07 \\U0001F4A5"') + BAD.split("tests:\n")[1]
    assert run(text, "broken.yaml", "--junit", "out.xml").exit_code == 2
    root = ET.fromstring((tmp_path / "out.xml").read_bytes())
    conforms(root)
    mine, broken = root
    assert [(s.get("tests"), s.get("failures"), s.get("errors")) for s in root] == [("2", "1", "0"), ("1", "0", "1")]
    cases = mine.findall("testcase")
    assert [c.get("name") for c in cases] == ["<good> & \ufffd \U0001f4a5", "bad"]
    failure = cases[1].find("failure")
    assert failure.get("message") == "wanted errors: firing, info"
    assert "t.yaml:11:14: at 3m" in failure.text
    assert "consecutive_failures >= 1 holds: 4" in failure.text
    assert "which rules?" in broken.find("testcase/error").text
    assert run(RULES + GOOD, "--junit", str(tmp_path)).exit_code == 1  # a folder
    assert "cannot be written" in str(run(RULES + GOOD, "--junit", str(tmp_path)).exception)


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_page_pass(run, tmp_path, example):
    """What is shown can be copied."""
    assert ERRORS in PAGE.replace("\n", " ")
    (tmp_path / "probestream.yaml").write_text(RULES + TARGETS)
    done = run(example)
    assert (done.exit_code, done.output[-200:].split(" in ")[0]) == (0, "1 passed")


@pytest.mark.timeout(600)  # the process may have to compile first
def test_the_example_of_the_repository_passes_as_its_own_process():
    """Without Kafka, and every rule in it fires."""
    done = subprocess.run(
        [sys.executable, "-m", "probestream", "test", "examples/rule-tests.yaml", "--min-coverage", "100"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1].split(" in ")[0]) == (0, "8 passed")
    failing = subprocess.run(
        [sys.executable, "-m", "probestream", "test", "nowhere.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (failing.returncode, "nowhere.yaml: cannot be read" in failing.stdout) == (2, True)
