"""The command line: exit codes, messages, and what it costs to ask a small thing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

import probestream
from tests.kit.services import HttpService

ENV_LESS = {"COLUMNS": "200", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def cli(*arguments, cwd=None, **env):
    return subprocess.run(
        [sys.executable, "-m", "probestream", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=ENV_LESS | {"PYTHONPATH": ":".join(sys.path)} | env,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def test_version_is_quick_and_plain():
    """A script can read it; nothing heavy is imported for it."""
    code = (
        "import sys\nfrom probestream.cli import app\ntry: app(['version'])\nexcept SystemExit: pass\n"
        "print(sorted({'aiokafka', 'faust', 'fastapi', 'sqlalchemy', 'numpy', 'jgo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"probestream {probestream.__version__}", "[]"]


def test_check_says_good_or_every_problem(tmp_path):
    """Exit code 0 and a count, or 2 and the places; with --json for scripts."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("targets: [{name: a, push: {}}]\n")
    bad.write_text("gateway: {port: x}\nkafka: {partitions: 0}\n")
    assert cli("check", str(good)).stdout == f"{good} is good: 1 target, 0 rules, 0 receivers\n"
    assert cli("check", "--config", str(good)).stdout == cli("check", str(good)).stdout
    done = cli("check", str(bad))
    assert done.returncode == 2
    assert f"{bad}:1:11: gateway.port:" in done.stderr
    assert "2 problems" in done.stderr
    told = json.loads(cli("check", str(bad), "--json").stdout)
    assert [(p["line"], p["field"]) for p in told["problems"]] == [(1, "gateway.port"), (2, "kafka.partitions")]


def test_check_of_a_missing_file_names_it():
    """A wrong path is a wrong use, told in a line."""
    done = cli("check", "/no/such.yaml")
    assert done.returncode == 2
    assert "/no/such.yaml: cannot be read: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "probes"], "did you mean probe?"),
        (["run", "detect"], "PROBESTREAM_KAFKA=host:port"),
        (["probe", "this-machin"], "did you mean this-machine?"),
        (["probe", "http://127.0.0.1:1", "-C", "[STATS] == 3"], "condition"),
        (["probe", "http://127.0.0.1:1", "-H", "nonsense"], "no header"),
        (["tail", "alert"], "did you mean alerts?"),
        (["no-such-command"], "No such command"),
    ],
)
def test_a_wrong_use_is_exit_code_2_and_a_hint(arguments, expected, tmp_path):
    """Whoever mistypes is told what would have been right."""
    done = cli(*arguments, PROBESTREAM_DATA=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["topics"], ["status"], ["broker", "stop"], ["broker", "status"]])
def test_where_nothing_runs_it_is_said_with_exit_code_1(arguments, tmp_path):
    """No traceback and no long wait, only what is not there and how to start it."""
    done = cli(*arguments, PROBESTREAM_DATA=str(tmp_path / "data"))
    assert done.returncode == 1
    assert str(tmp_path / "data") in done.stderr
    assert "Traceback" not in done.stderr


def test_status_for_scripts_is_json_even_when_nothing_runs(tmp_path):
    """A script parses one shape."""
    done = cli("status", "--json", PROBESTREAM_DATA=str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)) == (1, {"running": False})


async def test_probe_by_hand_tells_healthy_from_unhealthy():
    """Exit code 0 or 1 by the conditions, JSON with what was seen."""
    async with HttpService() as service:
        service.answer(200)
        good = await run_cli("probe", service.url(), "--condition", "[STATUS] == 200", "--json")
        bad = await run_cli("probe", service.url(), "-C", "[STATUS] == 201", "-C", "[RESPONSE_TIME] < 5000")
    assert (good[0], bad[0]) == (0, 1)
    seen = json.loads(good[1])
    assert (seen["ok"], seen["status"], seen["message"]) == (True, "200", "")
    assert seen["latency_ms"] > 0
    assert "unhealthy" in bad[1]
    assert "[STATUS]" in bad[1]


async def test_probe_by_hand_opens_tcp_connections():
    """tcp://host:port needs no more than a listener; without one it is unhealthy, with the reason."""
    async with HttpService() as service:
        address = service.url().removeprefix("http://").rstrip("/")
        assert (await run_cli("probe", f"tcp://{address}"))[0] == 0
    code, out = await run_cli("probe", f"tcp://{address}", "--json")
    assert code == 1
    assert json.loads(out)["status"] == "connection_refused"


async def test_probe_takes_the_name_of_a_configured_target():
    """What the configuration watches can be asked by hand, under its own conditions."""
    code, out = await run_cli("probe", "this-machine", "--json")
    assert code == 0
    assert 0 <= json.loads(out)["metrics"]["memory.used_percent"] <= 100


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell):
    """Each shell is given its completion."""
    done = cli("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    assert "probestream" in done.stdout.lower() or "main" in done.stdout.lower()


async def run_cli(*arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "probestream", *arguments), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()
