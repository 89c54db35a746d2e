"""A body in a file, as `rules set` and its like read it: what is wrong with it has its place."""

from __future__ import annotations

import io
import re

import pytest

from probestream.cli.common import UsageProblem
from probestream.cli.control import Written
from probestream.config import ConfigError
from streams.control_bodies import parse_body


@pytest.fixture
def given(monkeypatch):
    def put(text: str) -> Written:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return Written("-")

    return put


def test_fields_of_a_file_are_blamed_with_line_and_column(tmp_path):
    """As `check` does it for the configuration: each complaint, with what may have been meant."""
    path = tmp_path / "slow.yaml"
    path.write_text("name: slow\nall:\n  - {metric: latency, valu: 3}\nlabels: {team: web}\nseverty: info\n")
    written = Written(str(path))
    with pytest.raises(UsageProblem) as caught, written.blamed("rule"):
        parse_body("rule", "slow", written.body)
    lines = str(caught.value).splitlines()
    assert f"{path}:3:23: all[0].valu: unknown field; did you mean value?" in lines
    assert f"{path}:5:1: severty: unknown field; did you mean severity?" in lines


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{name: x, metric: up, value: 0", "standard input:1:31: not YAML: expected ',' or '}'"),
        ("[x]", "standard input:1:1: one mapping is wanted, as {name: ..., ...}"),
        ("name: x\nname: y\n", "standard input:2:1: name: given twice"),
        ("a: &a [*a]\n", "too many nodes, or aliases that unfold into too many"),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_place(given, text, complaint):
    """Standard input has lines and columns, too."""
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        given(text)


def test_dates_are_texts_as_the_log_has_them(given):
    """YAML makes a date of 2026-01-04; the log carries JSON."""
    body = given("{name: w, start: 2026-01-04T02:30:00, except: [2026-01-04], 5: !!set {a}}").body
    assert body["start"] == "2026-01-04T02:30:00"
    assert body["except"] == ["2026-01-04"]
    assert set(body) == {"name", "start", "except", "5"}
