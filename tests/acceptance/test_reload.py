"""The configuration file is watched: what changes in it is in force everywhere, and what is wrong in it is told."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager

import orjson
import pytest

from agents.alert.app import run
from agents.alert.settings import AlertSettings
from probestream.config import ConfigError, load
from probestream.reload import FileWatch
from schemas import Finding, encode
from streams.changes import Changes
from streams.control import FILE_UNKNOWN
from streams.control_bodies import TARGETS_READ
from streams.control_client import ControlClient
from streams.topics import ALERTS, FINDINGS, full_name
from streams.units import now_ms
from tests.kit.front_door import Installation, Program
from tests.kit.reader import reading
from tests.kit.records import writer
from tests.kit.role import PATIENCE_S, running, until

TARGETS = """
targets:
  - {name: host1, kind: x}
""".replace(", kind: x", ", push: {}")
RULE = "rules:\n  - {name: slow, metric: latency, value: %s}\n"


def save(path, text):
    """Put a file in the place of the one that is there, as editors do: nobody reads half of it."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


class Said(list):
    """What the person at the terminal was told."""

    def __call__(self, text, style):
        self.append(text)

    def has(self, *parts):
        return next((t for t in self if all(p in t for p in parts)), None)


@asynccontextmanager
async def watching(path, kafka):
    said = Said()
    task = asyncio.create_task(FileWatch(path, kafka, said).run())
    try:
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def reader(kafka):
    client = ControlClient(kafka, "reader")
    yield client
    await client.close()


async def _knows_the_file(reader):
    return bool((await reader.refresh()).live("file"))


async def test_a_changed_rule_is_there(kafka, reader, tmp_path):
    """A changed, a new and a removed rule are on the log once the file was saved, by actor file."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100 + "  - {name: old, metric: up, operator: '==', value: 0}\n")
    async with watching(path, kafka) as said:
        await until(lambda: _knows_the_file(reader))
        assert reader.controls.live("rule") == {}
        save(path, TARGETS + RULE % 200 + "  - {name: new, metric: up, operator: '==', value: 0}\n")

        async def there():
            return set((await reader.refresh()).live("rule")) == {"slow", "new"}

        await until(there)
        assert reader.controls.value("rule", "slow").value == 200
        old = reader.controls.current("rule", "old")
        assert (old.deleted, old.actor) == (True, "file")
        assert await until(lambda: said.has("taken in", "rule slow changed", "rule new changed", "rule old taken out"))


async def test_a_bad_file_changes_nothing_and_says_where(kafka, reader, tmp_path):
    """A file with an error is told with line and field; the old rules go on, until it is set right."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100)
    async with watching(path, kafka) as said:
        await until(lambda: _knows_the_file(reader))
        before = (await reader.refresh()).records("file")
        save(path, TARGETS + RULE % "loud")
        await until(lambda: said.has("goes on as it was", f"{path}:5:", "rules[0].value"))
        save(path, "targets: [")
        await until(lambda: said.has("goes on as it was", "not YAML"))
        assert (await reader.refresh()).records("file") == before
        save(path, TARGETS + RULE % 300)
        await until(lambda: said.has("taken in", "rule slow changed"))
        assert (await reader.refresh()).value("rule", "slow").value == 300


class Looking(FileWatch):
    """Counts how often it looks at the file."""

    looks = 0

    def _signature(self):
        self.looks += 1
        return super()._signature()


async def test_a_file_that_is_emptied_or_away_for_a_moment_takes_nothing_out(kafka, reader, tmp_path):
    """Whoever empties the file before writing it anew takes out no rule by that; nor is one that is away looked for in haste."""
    path, said = tmp_path / "probestream.yaml", Said()
    save(path, TARGETS + RULE % 100)
    watch = Looking(path, kafka, said)
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: _knows_the_file(reader))
        path.write_text("")
        looked = watch.looks
        await until(lambda: watch.looks > looked + 2)
        path.unlink()
        await until(lambda: said.has("goes on as it was"))
        looked = watch.looks
        for _ in range(200):
            await asyncio.sleep(0)
        assert watch.looks < looked + 100
        save(path, TARGETS + RULE % 200)
        await until(lambda: said.has("taken in", "rule slow changed"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not said.has("taken out")


async def test_what_was_edited_while_nothing_ran_is_found(kafka, reader, tmp_path):
    """A run-time change stays as it is over restarts, until the file says something new of that rule."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100)
    async with watching(path, kafka):
        await until(lambda: _knows_the_file(reader))
    await reader.change("rule", "slow", {"metric": "latency", "value": 150}, None, "ada")
    async with watching(path, kafka) as said:
        save(
            path,
            TARGETS
            + RULE % 100
            + "silences:\n  - {name: s, matchers: [a=b], starts: 2026-01-01T00:00:00Z, ends: 2026-01-02T00:00:00Z}\n",
        )
        await until(lambda: said.has("silence s changed"))
    assert (await reader.refresh()).value("rule", "slow").value == 150
    save(path, TARGETS + RULE % 120)
    async with watching(path, kafka) as said:
        await until(lambda: said.has("rule slow changed", "silence s taken out"))
    controls = await reader.refresh()
    assert [(c.actor, c.new["value"]) for c in controls.history("rule", "slow")] == [("ada", 150), ("file", 120)]


async def test_targets_are_told_without_their_secrets(kafka, reader, tmp_path, monkeypatch):
    """Of a target, its labels and what it depends on go to the log; its address and headers never do."""
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS)
    shop = """
  - name: shop
    depends_on: [host1]
    labels: {team: web}
    http: {url: "https://shop.example/?key=t0ps3cret", headers: {Authorization: "Bearer ${SHOP_TOKEN}"}}
"""
    async with watching(path, kafka) as said:
        await until(lambda: _knows_the_file(reader))
        save(path, TARGETS.rstrip() + shop)
        await until(lambda: said.has("target shop changed"))
    controls = await reader.refresh()
    assert controls.value("target", "shop").depends_on == ("host1",)
    written = "".join(r.body for kind in ("target", "audit", "file") for r in controls.records(kind))
    assert "s3cret" not in written
    assert "t0ps3cret" not in written  # no three letters, which are in the digits of some nonce by chance


async def test_inhibitions_dependencies_and_preferences_of_the_file_are_told(kafka, reader, tmp_path):
    """Added, changed and taken out of the file, each is a change of the log; an inhibition needs no name."""
    path = tmp_path / "probestream.yaml"
    head = TARGETS + "receivers: [{name: ops}]\n"
    inhibit = "inhibit_rules:\n  - {source_matchers: [severity=critical], target_matchers: ['team=%s']}\n"
    save(path, head + inhibit % "a")
    async with watching(path, kafka) as said:
        await until(lambda: _knows_the_file(reader))
        save(
            path,
            head
            + inhibit % "b"
            + "dependencies: {hold: 3s}\n"
            + "preferences:\n  - {name: ada, receivers: [ops], quiet_hours: [{from: 22:00, to: 07:00}]}\n",
        )
        await until(lambda: said.has("dependencies all changed", "preference ada changed"))
        controls = await reader.refresh()
        assert controls.value("dependencies", "all").hold == 3.0
        assert controls.value("preference", "ada").quiet_hours[0].to == 7 * 60
        rules = {r.id: r.deleted for r in controls.records("inhibit_rule")}
        assert sorted(rules.values()) == [False, True]
        (left,) = controls.live("inhibit_rule").values()
        assert left.target == ("team=b",)
        save(path, head)
        await until(lambda: said.has("dependencies all taken out", "preference ada taken out"))
        assert [(await reader.refresh()).live(k) for k in ("inhibit_rule", "dependencies", "preference")] == [{}] * 3


async def test_a_preference_names_a_receiver(tmp_path):
    """A person without a receiver of that name is told where, and which ones there are."""
    path = tmp_path / "probestream.yaml"
    save(path, "receivers: [{name: ops}]\npreferences:\n  - {name: op}\n  - {name: ada, receivers: [ops, dba]}\n")
    with pytest.raises(ConfigError) as wrong:
        load(path)
    assert [str(p).removeprefix(f"{path}:") for p in wrong.value.problems] == [
        "3:6: preferences[0].name: no receiver is named 'op'; did you mean 'ops'?",
        "4:34: preferences[1].receivers[1]: no receiver is named 'dba'; defined: ops",
    ]


class Growing(FileWatch):
    """Each look finds that somebody has written a line more; at the last one they have done, and the rules are there."""

    lines = 0

    def _signature(self):
        if self.lines:
            self.lines -= 1
            with self.path.open("a") as file:
                file.write("# more to come\n" if self.lines else RULE % 200)
        return super()._signature()


async def test_a_file_that_somebody_is_writing_is_not_taken_in_by_halves(kafka, reader, tmp_path):
    """The first half of a file is a valid one without rules: none is taken out, and the whole is taken in when it is there."""
    path, said = tmp_path / "probestream.yaml", Said()
    save(path, TARGETS + RULE % 100)
    watch = Growing(path, kafka, said)
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: _knows_the_file(reader))
        watch.lines = 7
        save(path, TARGETS)
        await until(lambda: said.has("taken in"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert list(said) == [f"{path} taken in: rule slow changed"]
    assert [c.version for c in (await reader.refresh()).records("rule")] == [1]


async def test_what_is_saved_while_the_roles_start_is_read_by_the_probes(kafka, reader, tmp_path):
    """The probes are asked to read their targets again where the file is not the one that was there at the start."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS)
    async with watching(path, kafka):
        await until(lambda: _knows_the_file(reader))
    assert reader.controls.current("file", TARGETS_READ) is None
    watch = FileWatch(path, kafka, Said())
    save(path, TARGETS + RULE % 100)
    task = asyncio.create_task(watch.run())

    async def asked():
        return (await reader.refresh()).current("file", TARGETS_READ)

    try:
        await until(asked)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_sections_that_need_a_start_are_named(kafka, reader, tmp_path):
    """A change of something that is read at a start only is said to wait for one."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + "gateway: {port: 8080}\n")
    async with watching(path, kafka) as said:
        await until(lambda: _knows_the_file(reader))
        save(path, TARGETS + "gateway: {port: 8081}\n")
        await until(lambda: said.has("gateway.port changed: read at a start only"))


async def test_what_the_file_said_before_is_kept_with_its_first_change(kafka, reader, tmp_path):
    """A backtest has the rule as it was before the file was saved; an edit while nothing ran says that it is not known."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100)
    async with watching(path, kafka):
        await until(lambda: _knows_the_file(reader))
        save(path, TARGETS + RULE % 300)
        await until(lambda: _version(reader, 1))
        save(path, TARGETS + RULE % 300 + RULE.split("\n", 1)[1].replace("slow", "slower") % 900)
        await until(lambda: _version(reader, 1, "slower"))
    changes = Changes(await reader.refresh())
    assert orjson.loads(changes.at("rule", "slow", 0.0).body)["value"] == 100
    assert changes.at("rule", "slower", 0.0).deleted  # it was not there
    assert changes.gaps == []


async def test_what_the_file_said_before_an_edit_that_nobody_saw_is_not_known(kafka, reader, tmp_path):
    """The program was down when the file was saved: the change is found at the next start, and says so."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100)
    async with watching(path, kafka):
        await until(lambda: _knows_the_file(reader))
    save(path, TARGETS + RULE % 300)
    async with watching(path, kafka):
        await until(lambda: _version(reader, 1))
    changes = Changes(await reader.refresh())
    assert changes.at("rule", "slow", 0.0) is None
    assert [(g.kind, g.id, g.why) for g in changes.gaps] == [("rule", "slow", FILE_UNKNOWN)]


async def _version(reader, version, name="slow"):
    return (await reader.refresh()).version("rule", name) == version


async def test_a_rule_taken_out_of_the_file_resolves_its_alert(kafka, reader, tmp_path):
    """Two seconds after the file was saved without the rule, whoever was told that it fired is told that it is over."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100)
    config = load(path)
    slow = config.rules[0]
    finding = Finding(
        target="host1", rule="slow", holds=True, time=now_ms(), severity=slow.severity, metric="latency", aggregate="last",
        operator=">", threshold=100.0, value=200.0,
    )  # fmt: skip
    alerts = running(run, kafka=kafka, settings=AlertSettings(tick=0.05), targets=config.targets, rules=config.rules)
    async with reading(kafka, ALERTS) as seen, watching(path, kafka), alerts, writer(kafka) as w:
        await until(lambda: _knows_the_file(reader))
        await w.producer.send_and_wait(full_name(kafka, FINDINGS), encode(finding), key=b"host1/slow")
        await seen.wait(ALERTS, lambda got: any(a.state == "firing" and a.notify for a in got))
        save(path, TARGETS)
        resolved = await seen.wait(ALERTS, lambda got: got[-1].state == "resolved")
        assert (resolved[-1].reason, resolved[-1].notify) == ("rule_removed", True)


async def test_a_running_program_takes_in_its_file(kafka, reader, tmp_path):
    """`probestream up` says what it took in when the file is saved, and what is wrong in it, and goes on."""
    path = tmp_path / "probestream.yaml"
    save(path, TARGETS + RULE % 100)
    place = Installation(tmp_path)
    env = place.env | {
        "PROBESTREAM_KAFKA": kafka.servers,
        "PROBESTREAM__KAFKA__PREFIX": kafka.prefix,
        "PROBESTREAM__KAFKA__PARTITIONS": str(kafka.partitions),
        "PROBESTREAM_CONFIG": str(path),
    }
    program = Program([sys.executable, "-m", "probestream", "up"], env, tmp_path, tmp_path / "output")
    try:
        await until(lambda: _knows_the_file(reader))
        save(path, TARGETS + RULE % "loud")
        await asyncio.to_thread(program.wait_text, "rules[0].value", PATIENCE_S)
        save(path, TARGETS + RULE % 300)
        await asyncio.to_thread(program.wait_text, "rule slow changed", PATIENCE_S)
        assert (await reader.refresh()).value("rule", "slow").value == 300
        await asyncio.to_thread(program.ctrl_c)
        assert program.process.returncode == 0, program.text
    finally:
        program.end()
