"""What a backtest says of the past, beside what the hops really did with the same samples on real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from aiokafka import AIOKafkaProducer

from agents.alert import app as alert_app
from agents.detect import app as detect_app
from probestream.backtest.episodes import episodes
from probestream.backtest.file import FileLog, export
from probestream.backtest.log import KafkaLog
from probestream.backtest.past import past
from probestream.backtest.picture import ms
from probestream.backtest.report import as_bytes
from probestream.backtest.run import Asked, backtest
from probestream.config import load_text
from schemas import Alert, SampleBatch, encode
from streams.dependencies import Dependencies
from streams.kafka import producer_options
from streams.partition import partition_of
from streams.suppression import Suppressions
from streams.topics import ALERTS, FINDINGS, SAMPLES, full_name
from streams.units import now_ms
from tests.kit.reader import reading
from tests.kit.role import PATIENCE_S, running

TICK_MS = 50
CONFIG = """
kafka: {{bootstrap: "{bootstrap}", prefix: "{prefix}", partitions: 2}}
alert: {{tick: 50ms, cooldown: 0}}
detect: {{commit_every: 100ms}}
dependencies: {{hold: 500ms, settle: 500ms}}
targets:
  - {{name: host, http: {{url: "http://127.0.0.1:1"}}}}
  - {{name: shop, http: {{url: "http://127.0.0.1:1"}}, depends_on: [host]}}
  - {{name: blog, http: {{url: "http://127.0.0.1:1"}}}}
  - {{name: wiki, http: {{url: "http://127.0.0.1:1"}}}}
  - {{name: mail, http: {{url: "http://127.0.0.1:1"}}}}
silences:
  - {{name: known, matchers: [target=wiki], starts: 2020-01-01T00:00:00Z, ends: 2099-01-01T00:00:00Z}}
rules:
  - {{name: down, metric: up, operator: "==", value: 0, severity: critical, for: 1s}}
  - {{name: slow, metric: latency, warning: 100, critical: 1000}}
  - {{name: many, metric: up, operator: "==", value: 0, group_by: [], at_least: 3}}
  - {{name: either, alerts: {{any: [down, slow]}}}}
"""


def config_of(kafka):
    return load_text(CONFIG.format(bootstrap=kafka.bootstrap, prefix=kafka.prefix))


class Feed:
    def __init__(self, kafka, producer):
        self.kafka, self.producer = kafka, producer

    async def round(self, **targets) -> None:
        """A sample of each target: its latency, or None where the check fails."""
        for target, latency in targets.items():
            batch = SampleBatch(
                probe="p", target=[target], time=[now_ms()], ok=[latency is not None], latency_ms=[latency or 0.0]
            )
            await self.producer.send_and_wait(
                full_name(self.kafka, SAMPLES), encode(batch), partition=partition_of(target, 2)
            )


@contextlib.asynccontextmanager
async def lived(kafka, config=None):
    """The two hops at work, a feed for them, and what they tell."""
    config = config or config_of(kafka)
    suppressions = Suppressions(
        dependencies=Dependencies(config.targets), silences=config.silences, settings=config.dependencies
    )
    producer = AIOKafkaProducer(**producer_options(kafka, "test"))
    await producer.start()
    detect = {"settings": config.detect, "targets": config.targets, "rules": config.rules}
    alert = {"settings": config.alert, "targets": config.targets, "rules": config.rules}
    try:
        async with (
            reading(kafka, ALERTS, FINDINGS) as seen,
            running(detect_app.run, kafka=kafka, **detect),
            running(alert_app.run, kafka=kafka, suppressions=suppressions, **alert),
        ):
            yield Feed(kafka, producer), seen
    finally:
        await producer.stop()


async def outage(kafka) -> None:
    """Everything fails for a while, one target is slow on the way, and all recover."""
    async with lived(kafka) as (feed, seen):

        async def stand(state: str, *alerts: str) -> None:
            """Wait until these alerts, each a rule and its target, stand so: then nothing is under way any more."""
            await seen.wait(
                ALERTS,
                lambda a: {f"{x.rule} {x.target}": x.state for x in a}.items() >= dict.fromkeys(alerts, state).items(),
            )

        await feed.round(host=10.0, shop=10.0, blog=10.0, wiki=10.0, mail=10.0)
        # One after the other: what two partitions bring at the same moment has no order that both could know.
        await feed.round(host=None, blog=None)
        await stand("firing", "down host", "down blog", "either host", "either blog")
        await feed.round(wiki=None)
        await stand("firing", "many group:all")
        await stand("suppressed", "down wiki", "either wiki")
        await feed.round(mail=2000.0)
        await stand("firing", "slow:critical mail", "either mail")
        await stand("suppressed", "slow:warning mail")
        # In between, more than a tick goes by, which is as exactly as either knows when a duration was over.
        await feed.round(shop=None)
        await stand("suppressed", "down shop", "either shop")
        # The two of a pair come by two partitions: where the critical one is heard to end first, the other is told.
        await feed.round(mail=500.0)
        await stand("resolved", "slow:critical mail")
        await stand("firing", "slow:warning mail")
        await feed.round(shop=10.0, blog=10.0, wiki=10.0, mail=10.0)
        await stand(
            "resolved", *(f"{rule} {target}" for rule in ("down", "either") for target in ("shop", "blog", "wiki"))
        )
        await stand("resolved", "slow:warning mail", "either mail", "many group:all")
        await feed.round(host=10.0)

        def over(alerts: list[Alert]) -> bool:
            latest = {x.id: x for x in sorted(alerts, key=lambda x: x.number)}
            return all(x.state in ("resolved", "cancelled") for x in latest.values())

        await seen.wait(ALERTS, over)


def asked(config, **more) -> Asked:
    return Asked(config=config, name="rules.yaml", from_="1h", **more)


def steps(states: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Each state when it was come into; what was told again while it stayed is left out."""
    return [s for i, s in enumerate(states) if not i or states[i - 1][0] != s[0]]


async def test_a_backtest_with_the_same_rules_gives_the_alerts_that_did_fire(kafka, compiled):
    """The same ids, states and reasons, and the same times but for the moment that each hop took; and nothing else."""
    await outage(kafka)
    config = config_of(kafka)
    alerts, controls = await asyncio.to_thread(past, config.kafka)
    told = await asyncio.to_thread(backtest, KafkaLog(config.kafka, 2), asked(config, alerts=alerts, controls=controls))
    # A composite begins when an alert fires, by the clock of the role: its id is that moment's.
    real = {e.target if e.rule == "either" else e.id: e for e in episodes(a for _, a in alerts)}
    ours = {a["target"] if a["rule"] == "either" else a["id"]: a for a in told["alerts"]}
    assert {(e.rule, e.target) for e in real.values()} >= {
        ("down", "host"), ("down", "shop"), ("down", "blog"), ("down", "wiki"), ("many", "group:all"),
        ("slow:critical", "mail"), ("either", "mail"), ("either", "host"),
    }  # fmt: skip
    theirs = {i: steps(e.states) for i, e in real.items()}
    mine = {i: steps([(state, ms(at)) for state, at in a["states"]]) for i, a in ours.items()}
    assert {i: [s for s, _ in e] for i, e in theirs.items()} == {i: [s for s, _ in e] for i, e in mine.items()}
    assert {i: e.quiet for i, e in real.items()} == {i: a["kept_quiet_by"] for i, a in ours.items()}
    late = [at - ours for i, e in theirs.items() for (_, at), (_, ours) in zip(e, mine[i], strict=True)]
    assert all(-TICK_MS <= by < PATIENCE_S * 1000 for by in late), late
    assert told["fired"]["same"] == len([e for e in real.values() if e.fired])
    assert told["fired"]["only_new"] == told["fired"]["only_old"] == []


async def samples_only(kafka) -> None:
    """A log of samples that no hop has read."""
    producer = AIOKafkaProducer(**producer_options(kafka, "test"))
    await producer.start()
    feed = Feed(kafka, producer)
    for latency in (10.0, None, 10.0, 200.0, None):
        await feed.round(host=10.0, shop=latency, blog=latency)
    await producer.stop()


async def test_the_same_log_and_rules_give_the_same_bytes(kafka, compiled, tmp_path):
    """Whether read by one process or two, from Kafka or from a file, now or later: the report is the same."""
    await samples_only(kafka)
    config = config_of(kafka)

    def each() -> list[bytes]:
        log = KafkaLog(kafka)
        path = tmp_path / "samples.avro"
        assert export(log, log.all(), path, lambda _: None) == 15
        return [
            as_bytes(backtest(log, asked(config))),
            as_bytes(backtest(log, asked(config, jobs=2))),
            as_bytes(backtest(FileLog(path), asked(config, jobs=2))),
        ]

    first, *others = await asyncio.to_thread(each)
    assert json.loads(first)["log"]["samples"] == 15
    assert [a["rule"] for a in json.loads(first)["alerts"]].count("down") == 4
    assert others == [first, first]


async def command(tmp_path, *arguments):
    """Exit code, and what the command printed, on either side."""
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "probestream", *arguments, "--data", str(tmp_path / "none"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(done.communicate(), PATIENCE_S)
    return done.returncode, out.decode(), err.decode()


async def test_the_command_tells_it_in_every_format(kafka, compiled, tmp_path):
    """A table for people, CSV, JSON and a page of its own; and beside the rules that are in force."""
    await samples_only(kafka)
    patient = CONFIG.replace("for: 1s", "for: 1h")
    (tmp_path / "now.yaml").write_text(patient.format(bootstrap=kafka.bootstrap, prefix=kafka.prefix))
    (tmp_path / "new.yaml").write_text("rules:\n  - {name: down, metric: up, operator: '==', value: 0}\n")
    (tmp_path / "labels.csv").write_text("target,label\nblog,false_positive\n")
    base = ["backtest", "--config", str(tmp_path / "now.yaml"), "--rules", str(tmp_path / "new.yaml"), "--from", "1h"]
    base += ["--against", "current", "--labels", str(tmp_path / "labels.csv")]
    code, out, err = await command(tmp_path, *base)
    assert code == 0, err
    assert "Beside current: 4 alerts for" in out
    assert "warning: the log begins at" in out
    code, out, _ = await command(tmp_path, *base, "--format", "csv", "--target", "blog")
    lines = out.splitlines()
    assert lines[0].startswith("id,rule,target,severity")
    assert [line.split(",")[1:3] for line in lines[1:] if ",old," not in line] == [["down", "blog"]] * 2
    code, _, err = await command(tmp_path, *base, "--format", "html", "--output", str(tmp_path / "r.html"))
    page = (tmp_path / "r.html").read_text()
    assert (code, page.count("<svg")) == (0, 1), err
    assert "src=" not in page.replace('"', "")
    code, out, _ = await command(tmp_path, *base, "--format", "json")
    found = json.loads(out)
    assert {r["rule"]: (r["alerts"], r["false_positives"]) for r in found["rules"]} == {"down": (4, 2)}
    assert found["against"]["same"] == 0  # its rule waits for an hour, and nothing failed for so long


async def test_a_person_is_told_what_is_wrong(kafka, tmp_path):
    """No samples, no such time, a rule that cannot be read, no Kafka: a line each, and no traceback."""
    (tmp_path / "now.yaml").write_text(CONFIG.format(bootstrap=kafka.bootstrap, prefix=kafka.prefix))
    (tmp_path / "bad.yaml").write_text("rules:\n  - name: down\n    metric: latncy\n    value: 1\n")
    config = ["--config", str(tmp_path / "now.yaml")]
    code, _, err = await command(tmp_path, "backtest", *config)
    assert code == 1
    assert "the log of samples is empty" in err
    code, _, err = await command(tmp_path, "backtest", *config, "--rules", str(tmp_path / "bad.yaml"))
    assert code == 2
    assert "bad.yaml:3:" in err
    assert "latency" in err
    code, _, err = await command(tmp_path, "backtest", *config, "--rules", "curent")
    assert (code, "curent: there is no such file; did you mean current?" in err) == (2, True), err
    await samples_only(kafka)
    code, _, err = await command(tmp_path, "backtest", *config, "--from", "2020-01-01", "--to", "2020-02-01")
    assert code == 1
    assert "no samples from 2020-01-01T00:00:00.000Z to 2020-02-01" in err
    code, _, err = await command(tmp_path, "backtest", *config, "--from", "yesterday")
    assert code == 2
    assert "'yesterday' is no time" in err
    (tmp_path / "gone.yaml").write_text(CONFIG.format(bootstrap="127.0.0.1:1", prefix="x."))
    code, _, err = await command(tmp_path, "backtest", "--config", str(tmp_path / "gone.yaml"))
    assert code == 1
    assert "127.0.0.1:1 does not answer" in err
    assert "Traceback" not in err
