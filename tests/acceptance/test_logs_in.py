"""Log lines on their way in, by HTTP and from the command line, and an alert that comes of them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from agents.logs.app import run
from schemas import LogBatch
from streams.kafka import KafkaSettings
from streams.topics import ALERTS, LOGS, SAMPLES
from tests.kit.cli import Cli
from tests.kit.gateway import gateway
from tests.kit.logs import QUICK, TARGETS, sender, totals
from tests.kit.process import role_process
from tests.kit.reader import Reader, reading
from tests.kit.role import running

CONFIG = """
kafka: {{prefix: {prefix}, partitions: {partitions}}}
logs: {{interval: 1s, settle: 200ms, learn: 0s}}
targets:
  - {{name: api, push: {{}}, labels: {{source: logs}}}}
  - {{name: shop, tcp: {{address: "localhost:1"}}}}
rules:
  - name: new-error
    severity: warning
    match: ['source="logs"']
    metric: log.new_errors
    aggregate: max
    window: 5m
    operator: ">"
    value: 0
    annotations: {{summary: "{{{{ target }}}}: {{{{ message }}}}"}}
"""


def config(tmp_path: Path, kafka: KafkaSettings) -> Path:
    path = tmp_path / "probestream.yaml"
    path.write_text(CONFIG.format(prefix=kafka.prefix, partitions=kafka.partitions))
    return path


def messages(read: Reader) -> list[str]:
    return [m for batch in read[LOGS] for m in batch.message]


async def test_lines_by_http_are_counted(kafka: KafkaSettings) -> None:
    """A posted body in each of its forms ends as counts; secrets are gone before the topic has them."""
    async with (
        reading(kafka, LOGS, SAMPLES) as read,
        gateway(kafka, targets=TARGETS) as g,
        running(run, kafka=kafka, settings=QUICK, targets=TARGETS, accept_unknown=False),
    ):
        answer = await g.post("/api/v1/logs", {"target": "api", "lines": ["ERROR a", {"msg": "b", "level": "warn"}]})
        assert answer == {"success": True, "lines": 2, "targets": {"api": 2}}
        await g.post("/api/v1/logs?target=web", ["GET /?token=abcdef", {"log": "c", "target": "jobs"}])
        lines = b'{"target":"api","message":"ERROR d","time":"2020-01-01T00:00:00Z"}\n\n{"message":"e \xff","target":"db"}\n'
        raw = await g.http.post("/api/v1/logs", content=lines, headers={"content-type": "application/x-ndjson"})
        assert raw.json()["targets"] == {"api": 1, "db": 1}
        found = await read.wait(SAMPLES, lambda got: sum(totals(got).values()) >= 6)
        await read.wait(LOGS, lambda _: len(messages(read)) >= 6)
        assert sorted(messages(read)) == ["ERROR a", "ERROR d", "GET /?token=<secret>", "b", "c", "e \ufffd"]
    assert totals(found) == {"api": 3, "web": 1, "jobs": 1, "db": 1}
    assert totals(found, "log.errors")["api"] == 2
    assert totals(found, "log.warnings")["api"] == 1


async def test_a_body_that_cannot_be_used_is_refused_whole(kafka: KafkaSettings) -> None:
    """The answer says what is wrong and where; nothing of such a body is written."""
    async with reading(kafka, LOGS) as read, gateway(kafka, targets=TARGETS, token="t" * 20) as g:
        assert (await g.post("/api/v1/logs", ["x"], 401))["error"]["code"] == "unauthorized"
        g.http.headers["authorization"] = "Bearer " + "t" * 20
        for body, status, code, told in (
            (["x"], 400, "bad_request", "item 1: no target"),
            ({"target": "apii", "lines": ["x"]}, 404, "unknown_target", "'apii'"),
            ({"target": "checked", "lines": ["x"]}, 409, "wrong_kind", "push: {}"),
            (
                {"target": "api", "lines": ["x", 7]},
                400,
                "bad_request",
                "item 2: a line is a text or an object, not int",
            ),
            ({"target": "api", "lines": [{"a": "x"}]}, 400, "bad_request", "item 1: no message"),
        ):
            error = (await g.post("/api/v1/logs", body, status))["error"]
            assert error["code"] == code
            assert told in error["message"]
        more = {"content-type": "application/x-ndjson"}
        refused = await g.http.post("/api/v1/logs?target=api", content=b'"a"\n{nonsense\n', headers=more)
        assert (refused.status_code, refused.json()["error"]["message"][:17]) == (400, "line 2 is no JSON")
        assert (
            await g.http.post("/api/v1/logs", content=b"x", headers={"content-type": "text/plain"})
        ).status_code == 415
        assert (await g.http.post("/api/ping", content=b"{}", headers=more)).status_code == 415
        large = json.dumps({"target": "api", "lines": ["y" * 900_000]})
        await g.http.post("/api/v1/logs", content=large, headers={"content-type": "application/json"})
        refused = await g.http.post(
            "/api/v1/logs", content=large + " " * 200_000, headers={"content-type": "application/json"}
        )
        assert refused.status_code == 413
        await read.wait(LOGS, 1)
    assert [m[:3] for m in messages(read)] == ["yyy"]


async def test_the_command_line_sends_tails_and_shows_templates(kafka: KafkaSettings, tmp_path: Path) -> None:
    """`logs send` takes standard input and files, `logs tail` shows lines, `logs templates` what was learnt."""
    config(tmp_path, kafka)
    command = functools.partial(Cli(kafka, tmp_path).run, "logs")
    async with (
        reading(kafka, SAMPLES) as read,
        running(run, kafka=kafka, settings=QUICK, targets=TARGETS, accept_unknown=False),
    ):
        code, _, error = await command(
            "send", "-t", "api", given=b"ERROR disk 7 full\nERROR disk 8 full\n\npassword=x \xff\n"
        )
        assert (code, error) == (0, "3 lines sent\n")
        file = tmp_path / "app.log"
        file.write_text('{"msg": "ERROR disk 9 full"}\nno json\n')
        code, _, error = await command("send", "-t", "api", "--json", str(file))
        assert (code, error.splitlines()[0]) == (0, "2 lines sent")
        assert "1 lines were no JSON" in error
        found = await read.wait(SAMPLES, lambda got: totals(got)["api"] >= 5)
        assert totals(found, "log.exhaustion")["api"] == 3
        code, out, _ = await command("tail", "-t", "api", "--from-beginning", "-n", "3")
        assert (code, out.splitlines()) == (
            0,
            ["api: ERROR disk 7 full", "api: ERROR disk 8 full", "api: password=<secret> \ufffd"],
        )
        code, out, _ = await command("templates", "-t", "api", "--json")
        assert {t["template"] for t in json.loads(out)} == {
            "ERROR disk <num> full",
            "password=<secret> \ufffd",
            "no json",
        }
    code, _, error = await command("send", "-t", "apj")
    assert (code, "did you mean api?" in error) == (2, True)
    code, _, error = await command("send", "-t", "shop")
    assert (code, "shop-logs, push: {}" in error) == (2, True)


async def test_a_new_error_becomes_an_alert_that_names_it(kafka: KafkaSettings, tmp_path: Path) -> None:
    """From a line of a kind never seen before to an alert with its template and the line, through the real roles."""
    path = config(tmp_path, kafka)
    async with (
        reading(kafka, ALERTS) as read,
        sender(kafka) as out,
        role_process("detect", path, kafka, tmp_path / "detect"),
        role_process("alert", path, kafka, tmp_path / "alert"),
        role_process("logs", path, kafka, tmp_path / "logs"),
    ):
        await out.put(LogBatch(target="api", message=["INFO started", "ERROR payment 4711 declined by bank"]))
        found = await read.wait(ALERTS, lambda got: any(a.state == "firing" for a in got))
    fired = next(a for a in found if a.state == "firing")
    assert (fired.rule, fired.target) == ("new-error", "api")
    assert "new error: ERROR payment <num> declined by bank" in fired.annotations["summary"]
    assert "for example: ERROR payment 4711 declined by bank" in fired.annotations["summary"]
