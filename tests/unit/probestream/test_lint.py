"""``probestream lint``: places, exit codes, JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from probestream.cli import app
from probestream.cli.common import DEFAULT_CONFIG
from probestream.config import ConfigError

TARGETS = "targets: [{name: shop, every: 30s, http: {url: 'http://a'}}]\nrules:\n"
FLAPS = "  - {name: slow, metric: latency, value: 500ms}\n"
PAIR = "  - {name: bad, metric: error_rate, warning: 2%, critical: 5%}\n"
NEVER = "  - name: never\n    all: ['error_rate > 5%', 'error_rate < 2%']\n"


@pytest.fixture
def lint(tmp_path):
    def run(rules, *options):
        (tmp_path / "my.yaml").write_text(TARGETS + rules)
        return CliRunner().invoke(app, ["lint", "-c", str(tmp_path / "my.yaml"), *options])

    return run


def test_the_default_has_nothing_to_remark():
    """What is shipped passes its own judge, in strict mode as well."""
    done = CliRunner().invoke(app, ["lint", "--strict", "-c", str(DEFAULT_CONFIG)])
    assert (done.exit_code, done.output.splitlines()) == (0, [f"{DEFAULT_CONFIG}: 7 rules, 0 errors, 0 warnings"])


def test_warnings_pass_unless_strict(lint, tmp_path):
    """A warning has its place, behind a pair of the file too, and exit code 0; with --strict it is 1."""
    done = lint(PAIR + FLAPS)
    first, last = done.output.splitlines()
    assert first.startswith(f"{tmp_path}/my.yaml:4:5: warning: rules[1].for: fires on a single value of latency")
    assert first.endswith(" [flaps]")
    assert last == f"{tmp_path}/my.yaml: 2 rules, 0 errors, 1 warning"
    assert done.exit_code == 0
    assert lint(PAIR + FLAPS, "--strict").exit_code == 1
    assert lint(PAIR, "--strict").exit_code == 0


def test_an_error_is_exit_code_1(lint, tmp_path):
    """At the very field."""
    done = lint(PAIR + NEVER)
    assert done.output.startswith(f"{tmp_path}/my.yaml:5:5: error: rules[1].all: can never hold")
    assert done.exit_code == 1


def test_an_annotation_is_blamed_at_its_own_line(lint, tmp_path):
    """A name that no alert has is found before the message that would have failed."""
    rule = "  - name: down\n    metric: errors\n    value: 3\n    annotations:\n      summary: '{{ targt }} fails'\n"
    first = lint(rule).output.splitlines()[0]
    assert first.startswith(
        f"{tmp_path}/my.yaml:7:7: warning: rules[0].annotations.summary: no alert has a value named"
    )
    assert first.endswith("named targt; did you mean target? [unknown-name]")


def test_json_for_scripts(lint, tmp_path):
    """The same, with counts."""
    done = lint(NEVER + FLAPS, "--json")
    told = json.loads(done.stdout)
    assert (told["errors"], told["warnings"], done.exit_code) == (1, 1, 1)
    keys = ("level", "code", "rule", "line", "column", "field")
    assert [tuple(r[k] for k in keys) for r in told["remarks"]] == [
        ("error", "never-holds", "never", 4, 5, "rules[0].all"),
        ("warning", "flaps", "slow", 5, 5, "rules[1].for"),
    ]


def test_a_file_that_does_not_load_is_told_as_by_check(lint):
    """Exit code 2 in JSON; without, the error that the command line tells as for every command."""
    broken = "  - {name: r, metric: lateny, value: 1}\n"
    done = lint(broken, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["errors"], told["remarks"][0]["code"], told["remarks"][0]["line"]) == (
        2,
        1,
        "not-loaded",
        3,
    )
    assert isinstance(lint(broken).exception, ConfigError)
