"""The commands that change something at run time, as a person types them, on real Kafka."""

from __future__ import annotations

import json

import pytest

from tests.kit.cli import Cli
from tests.kit.records import alert, writer

CONFIG = """
targets:
  - {name: shop, labels: {team: web}, push: {}}
  - {name: db, labels: {team: data}, push: {}}
rules:
  - {name: slow, metric: latency, value: 100}
  - {name: down, metric: up, operator: "==", value: 0, severity: critical}
"""


@pytest.fixture
def cli(kafka, tmp_path):
    cli = Cli(kafka, tmp_path)
    cli.config.write_text(CONFIG)
    return cli


async def test_a_silence_from_preview_to_expiry(kafka, cli):
    """Preview and add name the alerts and rules that are hit; list shows the silence until it is expired."""
    async with writer(kafka) as w:
        await w.write(alert("a1", target="shop", rule="slow", labels={"team": "web"}))
        await w.write(alert("a2", target="db", rule="slow", labels={"team": "data"}))
        await w.write(alert("a3", target="shop", rule="down", labels={"team": "web"}))
        await w.write(alert("a3", number=2, target="shop", rule="down", labels={"team": "web"}, state="resolved"))
    seen = json.loads(await cli("silence", "preview", "team=web", "--json"))
    assert [a["id"] for a in seen["alerts"]] == ["a1"]
    assert seen["targets"] == {"shop": ["slow", "down"]}
    told = await cli("silence", "add", "team=web", "--for", "2h", "-m", "deploy")
    assert ", until 20" in told
    assert "Z: for 2h (version 1)" in told
    assert "1 active alert\n" in told
    assert "shop: slow, down" in told
    (row,) = json.loads(await cli("silence", "list", "--json"))
    assert (row["state"], row["matchers"], row["author"], row["comment"]) == ("active", ["team=web"], "ada", "deploy")
    await cli("silence", "add", 'target=~"sh[op]+"', "--for", "1h")
    assert 'target=~"sh[op]+"' in await cli("silence", "list")
    await cli(
        "silence", "expire", next(r["id"] for r in json.loads(await cli("silence", "list", "--json")) if r != row)
    )
    assert "is over" in await cli("silence", "expire", row["id"][:8])
    assert "was over already" in await cli("silence", "expire", row["id"][:8])
    assert json.loads(await cli("silence", "list", "--json")) == []
    assert "  nothing: team=wbe; did you mean web?" in await cli("silence", "preview", "team=wbe")
    assert "  nothing: teem=web: none has a label teem; did you mean team?" in await cli(
        "silence", "add", "teem=web", "--for", "1m"
    )
    await cli("targets", "set", "-", given="{name: till, kind: push, labels: {team: shops}}")
    assert "1 of 3 targets, with 2 rules about them\n  till: slow, down" in await cli(
        "silence", "preview", "team=shops"
    )
    assert 'ends: "20' in await cli("audit", "--kind", "silence")  # a time that people can read
    assert "no silences begin with 'zz'" in await cli("silence", "expire", "zz", code=1)
    assert "at least one matcher must ask for a value" in await cli("silence", "add", 'a=~".*"', "--for", "1h", code=2)
    assert "is no list of matchers" in await cli("silence", "add", "team", "--for", "1h", code=2)
    assert "write team=web, or" in await cli("silence", "add", "team==web", "--for", "1h", code=2)
    assert "no kind 'silense'; did you mean silence?" in await cli("audit", "--kind", "silense", code=2)


async def test_a_rule_from_set_to_rollback(cli):
    """Set, conflict, history with differences, rollback, threshold and delete, each with its version."""
    rule = "{name: slow, metric: latency, value: 250}"
    assert "rule slow set (version 1)" in await cli("rules", "set", "-", "--expect", "0", given=rule)
    text = await cli("rules", "set", "-", "--expect", "0", given=rule, code=1)
    assert "conflict: rule slow was changed by ada at " in text
    await cli("rules", "set", "-", "--note", "too loud", given=rule.replace("250", "300"))
    assert "value: 250 → 300" in await cli("rules", "history", "slow")
    assert "never changed at run time; did you mean slow?" in await cli("rules", "history", "slw", code=1)
    assert "version 3" in await cli("rules", "rollback", "slow", "1")
    assert "kept are 1, 2, 3" in await cli("rules", "rollback", "slow", "9", code=2)
    await cli("rules", "threshold", "slow", "--value", "275")
    rows = {r["name"]: r for r in json.loads(await cli("rules", "list", "--json"))}
    assert (rows["slow"]["rule"]["value"], rows["slow"]["version"], rows["slow"]["threshold"]) == (275.0, 3, True)
    assert (rows["down"]["by"], rows["down"]["version"]) == ("file", 0)
    await cli("rules", "delete", "slow")
    assert "did you mean 'down'" in await cli("rules", "delete", "dwon", code=2)
    bad = cli.folder / "bad.yaml"
    bad.write_text("name: x\nmetric: up\nvalu: 0\noperator: equls\n")
    told = await cli("rules", "set", str(bad), code=2)
    assert f"{bad}:3:1: valu: unknown field; did you mean value?" in told
    assert f"{bad}:4:1: operator: there is no operator 'equls'" in told
    assert "or notEquals; did you mean equals?" in told
    audit = json.loads(await cli("audit", "--json"))
    assert [c["outcome"] for c in audit if c["kind"] == "rule"] == [
        "invalid", "invalid", "accepted", "accepted", "accepted", "conflict", "accepted",
    ]  # fmt: skip


async def test_windows_snoozes_and_reload(kafka, cli):
    """A window is previewed, set, listed and taken out; an alert is snoozed; a changed file is published."""
    window = "{name: weekly, targets: [db], start: 2026-01-04T02:00, duration: 2h, rrule: FREQ=WEEKLY;BYDAY=SU}"
    told = await cli("maintenance", "preview", "-", "-n", "2", given=window)
    assert told.count("T02:00:00.000Z to ") == 2
    assert "db: slow, down" in told
    await cli("maintenance", "set", "-", given=window)
    assert "weekly" in await cli("maintenance", "list")
    assert "did you mean 'db'" in await cli("maintenance", "set", "-", given=window.replace("[db]", "[dbs]"), code=2)
    await cli("maintenance", "delete", "weekly")
    async with writer(kafka) as w:
        await w.write(alert("a1b2c3", target="shop", rule="slow"))
    assert "slow on shop is quiet until" in await cli("snooze", "a1b2", "--for", "30m")
    assert "is awake" in await cli("snooze", "a1b2", "--wake")
    assert "slow on shop is acknowledged by ada" in await cli("ack", "a1b2", "-m", "mine")
    assert "slow on shop is for anybody again" in await cli("ack", "a1b2", "--undo")
    assert "slow on shop is called resolved" in await cli("resolve", "a1b2", "-m", "fixed")
    told = await cli("snooze", "zz", "--for", "30m", code=1)
    assert (
        "no active alerts have an id that begins with 'zz'; choose from:\n  a1b2c3  critical slow on shop, firing"
        in told
    )
    async with writer(kafka) as w:
        await w.write(alert("d4e5f6", target="db", rule="slow"))
    told = await cli("ack", "db", code=1)
    assert told.endswith("choose from:\n  d4e5f6  critical slow on db, firing\n")
    assert "0 changes" in await cli("reload")
    cli.config.write_text(CONFIG.replace("value: 100", "value: 400"))
    assert "rule slow changed" in await cli("reload")
    cli.config.write_text(CONFIG.replace("value: 100", "value: loud"))
    assert f"{cli.config}:6:" in await cli("reload", code=2)


async def test_preferences_targets_inhibitions_and_dependencies(cli):
    """What the file has and what was changed is listed; set, refused, rolled back and taken out by the same words."""
    text = cli.config.read_text()
    cli.config.write_text(text + "receivers: [{name: ada}]\npreferences: [{name: ada, least_severity: warning}]\n")
    (row,) = json.loads(await cli("preferences", "list", "--json"))
    assert (row["id"], row["version"], row["by"], row["body"]["least_severity"]) == ("ada", 0, "file", "warning")
    wish = "{name: ada, quiet_hours: [{from: 22:00, to: 07:00}]}"
    assert "preference ada set (version 1)" in await cli("preferences", "set", "-", given=wish)
    assert 'quiet_hours: [{"from": 1320' in await cli("preferences", "history", "ada")
    assert "is as in version 1 (version 2)" in await cli("preferences", "rollback", "ada", "1")
    told = await cli("preferences", "set", "-", given="{name: adda}", code=2)
    assert "no receiver is named 'adda'; did you mean 'ada'?" in told
    assert "target new set" in await cli("targets", "set", "-", given="{name: new, kind: push, depends_on: [db]}")
    assert "did you mean 'shop'" in await cli(
        "targets", "set", "-", given="{name: new, kind: push, depends_on: [shpo]}", code=2
    )
    assert "target new: depends_on.0: no target is named 'db'" in await cli("targets", "delete", "db", code=2)
    assert "no target is named 'x'; there are: db, new, shop" in await cli("targets", "delete", "x", code=1)
    await cli("targets", "delete", "new")
    assert [r["id"] for r in json.loads(await cli("targets", "list", "--json"))] == ["db", "shop"]
    assert "dependency setting all set" in await cli("dependencies", "set", "-", given="{hold: 3s}")
    assert "dependency setting all set (version 2)" in await cli("dependencies", "set", "-", given="{hold: 9s}")
    assert "all is as in version 1 (version 3)" in await cli("dependencies", "rollback", "1")
    assert "all is as in version 2 (version 4)" in await cli("dependencies", "rollback", "all", "2")
    for wrong in (("none", "1"), ("all",), ("0",)):
        assert "a version is a number from 1" in await cli("dependencies", "rollback", *wrong, code=2)
    assert "dependency setting all taken out" in await cli("dependencies", "delete")
