"""What a backtest tells of a log that a test wrote: figures, differences, warnings, and their pictures."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import fastavro
import pytest
from rich.console import Console

from probestream.backtest.difference import compare
from probestream.backtest.file import SCHEMA, FileError, FileLog
from probestream.backtest.labels import Label
from probestream.backtest.page import as_html
from probestream.backtest.picture import MOST_ROWS, picture, rows
from probestream.backtest.report import as_bytes
from probestream.backtest.rules_file import with_rules
from probestream.backtest.run import Asked, EmptyError, backtest
from probestream.backtest.span import Nights, Span
from probestream.backtest.table import as_csv, show
from probestream.cli.backtest import progress
from probestream.config import ConfigError, load_text
from schemas import SampleBatch, encode
from streams.instants import instant
from streams.partition import partition_of
from tests.kit.changes import change, records
from tests.kit.records import alert
from tests.unit.probestream.backtest.test_span_and_labels import episode

pytestmark = pytest.mark.usefixtures("compiled")
START = instant("2026-11-20T12:00:00Z")
HOUR = 3_600_000.0
BASE = """
detect: {unknown_targets: accept}
receivers: [{name: ops, webhook_configs: [{url: "http://127.0.0.1:1"}]}]
rules:
  - {name: down, metric: up, operator: "==", value: 0, severity: critical, for: 2m}
"""
NEW = """
rules:
  - {name: down, metric: up, operator: "==", value: 0, severity: critical, escalate: [{after: 5m, receivers: [ops]}]}
  - {name: queue, metric: queue.dpth, value: 5}
"""


@pytest.fixture
def log(tmp_path):
    """36 hours of two targets, a sample a minute: a is down for 10 min at 15:00 and 03:00, b for one at 20:00."""
    return FileLog(written(tmp_path / "log.avro", 36 * 60))


def written(path, minutes, first=START):
    def some():
        offsets = {0: 0, 1: 0}
        for minute in range(minutes):
            at = first + minute * 60_000
            of_day = (minute + 12 * 60) % 1440
            for target in ("a", "b"):
                down = of_day // 10 in (90, 18) if target == "a" else of_day == 20 * 60
                batch = SampleBatch(
                    probe="p", target=[target], time=[at], ok=[not down], latency_ms=[5.0],
                    metrics=[{"name": "queue.depth", "value": [1.0]}],
                )  # fmt: skip
                p = partition_of(target, 2)
                yield {"partition": p, "offset": offsets[p], "time": int(at), "value": encode(batch)}
                offsets[p] += 1

    with path.open("wb") as file:
        fastavro.writer(file, SCHEMA, some(), metadata={"probestream.partitions": "2"})
    return path


def config(text: str = BASE):
    return load_text(text)


def tried(tmp_path, text: str = NEW):
    (tmp_path / "new.yaml").write_text(text)
    return with_rules(tmp_path / "new.yaml", config())


def asked(tmp_path, **more) -> Asked:
    return Asked(config=tried(tmp_path), name="new.yaml", from_="34h", against=config(), against_name="current", **more)


def test_figures(log, tmp_path):
    """How often, how long, by day and by night, by rule and by target, beside the rules that are compared with."""
    told = backtest(log, asked(tmp_path))
    by_rule = {r["rule"]: r for r in told["rules"]}
    assert [by_rule["down"][n] for n in ("alerts", "pages", "night_pages", "worst_night")] == [5, 5, 1, 1]
    assert by_rule["down"]["pages_a_night"] == pytest.approx(1 / (9 + 1.983) * 9, abs=0.01)
    assert (by_rule["down"]["median_s"], by_rule["down"]["longest_s"]) == (600.0, 600.0)
    assert by_rule["down"]["firing_s"] == 3 * 600 + 2 * 60
    assert by_rule["queue"]["alerts"] == 0
    assert [(t["target"], t["alerts"]) for t in told["targets"]] == [("a", 3), ("b", 2)]
    assert told["nights"]["pages"] == [{"night": "2026-11-20", "pages": 1}, {"night": "2026-11-21", "pages": 0}]
    assert told["log"]["samples"] == 2 * (36 * 60 - 57)  # an hour and two minutes before 13:59 to warm up
    # What runs now waits for two minutes: it never hears of b.
    assert told["against"]["same"] == 3
    assert told["against"]["sooner_s"] == 120.0
    assert len(told["against"]["only_new"]) == 2
    assert told["against"]["only_old"] == []
    assert [w["message"] for w in told["warnings"]] == [
        "rule queue: no sample has a metric queue.dpth; there is queue.depth",
        "the current rules are those of the configuration: an export has no changes of them",
    ]


def test_an_alert_that_nobody_answers_is_escalated_but_is_one_page(log, tmp_path):
    """Reminders and escalations depend on people, who are not replayed: they are counted apart."""
    told = backtest(log, asked(tmp_path))
    assert told["total"]["repeats"] == 3
    assert told["total"]["pages"] == 5


def test_what_lies_before_warms_up_and_is_not_told(log, tmp_path):
    """An alert from before the time that was asked for is there only where it still fires."""
    told = backtest(log, replace(asked(tmp_path), from_="2026-11-20T15:05:00Z", to="2026-11-20T15:30:00Z"))
    [alert] = told["alerts"]
    assert (alert["fired"], alert["seconds"]) == ("2026-11-20T15:00:00.000Z", 300.0)
    assert told["log"]["read_from"] == "2026-11-20T14:03:00.000Z"
    assert told["total"]["pages"] == 0  # that was before


def test_labels_say_how_many_were_false(log, tmp_path):
    """A false alarm is counted for its rule; a true one that would not fire is told as missed."""
    labels = (
        Label("false_positive", target="b"),
        Label("true_positive", rule="down", target="a", from_ms=START, to_ms=START + 4 * HOUR),
        Label("true_positive", rule="down", target="b", from_ms=START, to_ms=START + HOUR),
    )
    told = backtest(log, asked(tmp_path, labels=labels))
    assert (told["total"]["false_positives"], told["total"]["true_positives"]) == (2, 1)
    assert [m["target"] for m in told["missed"]] == ["b"]


def test_the_report_is_the_same_bytes_each_time(log, tmp_path):
    """No clock on the wall, no chance, no order of a set: also in another process."""
    first = as_bytes(backtest(log, asked(tmp_path)))
    assert as_bytes(backtest(log, asked(tmp_path))) == first
    assert as_bytes(backtest(log, asked(tmp_path, jobs=2))) == first


def test_a_time_without_samples_is_told_with_what_there_is(log, tmp_path):
    """The span that the log has stands in the message; an empty log says so."""
    with pytest.raises(EmptyError, match=r"the log has those from 2026-11-20T12:00:00\.000Z to 2026-11-21T23:59"):
        backtest(log, replace(asked(tmp_path), from_="2026-01-01", to="2026-02-01"))
    with pytest.raises(EmptyError, match="is empty"):
        backtest(FileLog(written(tmp_path / "none.avro", 0)), asked(tmp_path))


def test_a_log_that_begins_later_is_told_clearly(log, tmp_path):
    """Retention may have deleted most of what was asked for; nights are counted over what there is."""
    told = backtest(log, replace(asked(tmp_path), from_="30d"))
    assert told["warnings"][0]["code"] == "shorter-log"
    assert "28.5 days after the time asked for" in told["warnings"][0]["message"]
    assert told["nights"]["count"] < 2


def test_a_name_mistyped_is_no_quiet_month(log, tmp_path):
    """Where `--target` or `--match` asks for what is nowhere, the report says so; for what is there, it does not."""
    given = {"only": ("a", "aa", "group:region=eu"), "match": ('severity="critcal"', "target=a")}
    warnings = {w["code"]: w["message"] for w in backtest(log, asked(tmp_path, **given))["warnings"]}
    assert warnings["unknown-target"] == "no target is named aa; did you mean a?"
    assert warnings["no-match"] == 'no alert can match severity="critcal"; did you mean critical?'
    given = {"only": ("a", "b"), "match": ('severity="critical"', "target=~a|b")}
    codes = [w["code"] for w in backtest(log, asked(tmp_path, **given))["warnings"]]
    assert not {"unknown-target", "no-match"} & set(codes)


def test_a_bar_shows_on_a_terminal_how_far_it_is(log, tmp_path, monkeypatch, capsys):
    """What is done, how many samples, how many a second; into a pipe it writes nothing."""
    for name in ("TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    with progress() as told:
        backtest(log, asked(tmp_path), told)
    shown = capsys.readouterr().err
    assert "━" in shown
    assert "4,206 samples, " in shown
    assert "writing the report" in shown
    monkeypatch.delenv("FORCE_COLOR")
    with progress() as told:
        backtest(log, asked(tmp_path), told)
    assert capsys.readouterr().err == ""


def test_files_that_are_no_export(tmp_path):
    """Named with what is wrong: not there, not Avro, Avro of something else."""
    with pytest.raises(FileError, match="cannot be read: No such file"):
        FileLog(tmp_path / "gone.avro")
    (tmp_path / "text.avro").write_text("hello")
    with pytest.raises(FileError, match="is no export of samples"):
        FileLog(tmp_path / "text.avro")
    with (tmp_path / "other.avro").open("wb") as file:
        fastavro.writer(file, {"type": "string"}, ["x"])
    with pytest.raises(FileError, match="is Avro, but no export"):
        FileLog(tmp_path / "other.avro")


def test_a_file_of_rules_takes_the_rest_from_the_configuration(tmp_path):
    """Targets and settings are those in force unless it names its own; receivers of escalations are known."""
    found = tried(tmp_path)
    assert found.detect.unknown_targets == "accept"
    assert [r.name for r in found.rules] == ["down", "queue"]
    own = tried(tmp_path, NEW + "detect: {unknown_targets: dead-letter}\n")
    assert own.detect.unknown_targets == "dead-letter"
    with pytest.raises(ConfigError, match=r"new.yaml:3:\d+: .*no receiver is named 'opps'"):
        tried(tmp_path, NEW.replace("[ops]", "[opps]"))


SOON = {"name": "down", "metric": "up", "operator": "==", "value": 0, "severity": "critical"}


def changed(tmp_path, *changes, **more) -> Asked:
    """By the rules in force, which were changed at these times."""
    topic = [(c.at, r) for c in changes for r in records(c)]
    return replace(asked(tmp_path), config=config(), name="current", against=None, controls=topic, **more)


def test_rules_in_force_count_from_the_time_at_which_they_were_changed(log, tmp_path):
    """The first night's minute is too short for the rule as it was; the second's is not, for the rule as it is then."""
    midnight = START + 12 * HOUR
    edit = change(1, midnight, SOON, id="down", note="for the audit")
    told = backtest(log, changed(tmp_path, edit))
    assert [a["fired"][:16] for a in told["alerts"] if a["target"] == "b" and a["fired"]] == ["2026-11-21T20:00"]
    waited = [a["fired"][11:16] for a in told["alerts"] if a["target"] == "a" and a["fired"]]
    assert waited == ["15:02", "03:00", "15:00"]
    assert told["changes"] == [
        {"at": "2026-11-21T00:00:00.000Z", "kind": "rule", "id": "down", "version": 1, "actor": "ada",
         "did": "for 120 → none", "note": "for the audit"}
    ]  # fmt: skip
    assert as_bytes(backtest(log, changed(tmp_path, edit, jobs=2))) == as_bytes(told)


def test_changes_are_marked_on_the_page_and_listed(log, tmp_path):
    """A line with what was done at the time of each change of a rule; a table of all, also on a terminal."""
    edit = change(1, START + 12 * HOUR, SOON, id="down", note="<audit>")
    told = backtest(log, changed(tmp_path, edit))
    svg = ET.fromstring(picture(told, None, []))
    [mark] = [g for g in svg.iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "change"]
    assert mark[0].text == "2026-11-21 00:00 rule down: for 120 → none, by ada"
    page = as_html(told)
    assert "<h2>Changed meanwhile</h2>" in page
    assert "&lt;audit&gt;" in page
    assert "a rule was changed" in page
    out = io.StringIO()
    show(told, Console(file=out, width=200))
    assert "rule down, version 1  for 120 → none  ada  <audit>" in out.getvalue()


def test_what_is_not_known_of_the_rules_in_force_is_told(log, tmp_path):
    """A history that begins within the time: as of when it is known; one that begins before, or of other rules, is none."""
    late = change(60, START + 12 * HOUR, SOON, SOON | {"for": "9m"}, id="down")
    told = backtest(log, changed(tmp_path, late))
    assert [w["message"] for w in told["warnings"] if w["code"] == "unknown-before"] == [
        "rule down is as of 2026-11-21T00:00:00.000Z: of versions 1 to 59 only the last is known"
    ]
    assert [a["fired"][11:16] for a in told["alerts"] if a["target"] == "a" and a["fired"]] == [
        "15:09",
        "03:00",
        "15:00",
    ]
    early = backtest(log, changed(tmp_path, late, from_="2026-11-21T12:00:00Z"))
    assert early["warnings"] == []
    tried_only = backtest(log, replace(asked(tmp_path, controls=[(late.at, r) for r in records(late)]), against=None))
    assert [w["code"] for w in tried_only["warnings"]] == ["unknown-metric"]


def test_what_people_answered_is_taken_from_the_alerts_that_did_fire(log, tmp_path):
    """An acknowledgement counts for the alert of the same rule and target that is active then, whatever its id."""
    at = START + 3 * HOUR + 240_000
    acked = alert("other", 2, "acknowledged", at=at, rule="down", target="a", reason="acknowledged", actor="ada")
    plain = backtest(log, asked(tmp_path))
    told = backtest(log, asked(tmp_path, alerts=[(at, acked), (at, acked)]))
    states = [[state for state, _ in a["states"]] for a in told["alerts"] if a["target"] == "a"]
    assert states[0] == ["firing", "acknowledged", "resolved"]
    assert told["total"]["repeats"] == plain["total"]["repeats"] - 1


def test_differences_pair_by_id_then_by_time():
    """The same id; else the same rule and target at the same time; of one split in two, one is new."""
    span = Span(0, 1000)
    new = [
        episode("r", "a", 10, 20, "1"),
        episode("r", "b", 30, 40),
        episode("r", "b", 45, 60),
        episode("q", "c", 1, 9),
    ]
    old = [episode("r", "a", 11, 20, "1"), episode("r", "b", 32, 50), episode("r", "c", 5, 9), episode("r", "d", 5, 9)]
    found = compare(new, old, span)
    assert [(a.id, b.id) for a, b in found.same] == [("1", "1"), ("r/b/30", "r/b/32")]
    assert [e.id for e in found.only_new] == ["r/b/45", "q/c/1"]
    assert [e.id for e in found.only_old] == ["r/c/5", "r/d/5"]
    assert found.covered == {"r/b/45": "r/b/32", "r/c/5": "q/c/1", "q/c/1": "r/c/5"}


def test_the_picture_has_a_row_for_each_that_fired(log, tmp_path):
    """One for each rule and target, with a bar a state, the nights behind them, and what others did below."""
    told = backtest(log, asked(tmp_path))
    assert [(rule, target) for rule, target, _, _ in rows(told, None)] == [("down", "a"), ("down", "b")]
    nights = [(START + 10 * HOUR, START + 19 * HOUR)]
    svg = ET.fromstring(picture(told, told["against"], nights))
    shapes = [r.get("class") for r in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert shapes.count("night") == 1
    assert shapes.count("critical") == 5
    assert shapes.count("old") == 3


def test_the_page_and_the_picture_hold_for_a_thousand_targets(log, tmp_path):
    """Rows beyond the limit are counted instead; names are text, whatever stands in them."""
    told = backtest(log, asked(tmp_path))
    alert = next(a for a in told["alerts"] if a["fired"])
    told["against"] = None
    told["alerts"] = [{**alert, "target": f"<b>{i}</b>", "id": str(i)} for i in range(MOST_ROWS + 7)]
    page = as_html(told)
    assert "and 7 rows more" in page
    assert "<b>77</b>" not in page
    assert page.count('<text class="target"') == MOST_ROWS
    assert len(page) < 3_000_000


def test_csv_has_a_line_an_alert(log, tmp_path):
    """And says which only one side has; a text that a spreadsheet would reckon with is quoted."""
    told = backtest(log, asked(tmp_path))
    told["alerts"][0]["summary"] = "=1+1"
    found = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert [(f["target"], f["only"]) for f in found] == [("a", ""), ("b", "new"), ("a", ""), ("a", ""), ("b", "new")]
    assert found[0]["summary"] == "'=1+1"
    assert found[0]["seconds"] == "600.0"


def test_the_table_says_the_most_in_a_screen(log, tmp_path):
    """Span, warnings, figures, and the difference."""
    out = io.StringIO()
    show(backtest(log, asked(tmp_path)), Console(file=out, width=160))
    text = out.getvalue()
    for wanted in ("5 alerts would have fired", "queue.dpth", "Beside current: 5 alerts for 3", "pages a night"):
        assert wanted in text
    json.loads(as_bytes(backtest(log, asked(tmp_path))))


def test_nights_option_reaches_the_report(log, tmp_path):
    """By the clock of another zone, other alerts are at night."""
    told = backtest(log, asked(tmp_path, nights=Nights.of("14-16", "UTC")))
    assert told["total"]["night_pages"] == 2
