"""The front door: two commands on a bare machine, and everything that can stand in their way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time

import httpx
import numba
import psutil
import pytest
from typer.testing import CliRunner

from probestream.broker.jars import cache_folder, pinned
from probestream.cli import app
from tests.kit.front_door import ROLES, ROOT, Installation, Program, bare_path, copy_of_the_repository, gone, wait_for

pytestmark = pytest.mark.timeout(600)
EVERYTHING = "everything runs"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return copy_of_the_repository(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A machine with Python and make alone, and a home folder without a past."""
    return Installation(tmp_path_factory.mktemp("home"), bare_path(tmp_path_factory.mktemp("bin") / "bin"))


@pytest.fixture(scope="module")
def first(clone, bare, tmp_path_factory):
    program = Program(["make", "up"], bare.env, clone, tmp_path_factory.mktemp("out") / "first")
    yield program
    program.end()


@pytest.fixture
def program(tmp_path):
    """Starts programs, and ends those that still run after the test."""
    started = []

    def start(installation, *arguments, cwd=ROOT):
        command = [sys.executable, "-m", "probestream", *arguments]
        started.append(Program(command, installation.env, cwd, tmp_path / f"out{len(started)}"))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def installation(tmp_path):
    """A new home folder with the jars and the compiled code of this session."""
    here = Installation(tmp_path / "home")
    here.env |= {"PROBESTREAM_CACHE": str(cache_folder()), "NUMBA_CACHE_DIR": numba.config.CACHE_DIR}
    return here


class TestAFreshClone:
    """`make up` on a bare machine. The tests follow one another on one running system."""

    def test_make_up_needs_only_python_and_make(self, first, bare):
        """Packages, Kafka's jars, topics and roles come by themselves, with progress, and then it says where to look."""
        first.wait_text(EVERYTHING, 420)
        text = first.text
        for expected in (
            "installing packages",
            "46 of 46 jars",
            "topics created",
            f"{bare.page}/",
            str(bare.data),
            "Ctrl-C",
        ):
            assert expected in text
        assert {r: p["state"] for r, p in bare.status()["roles"].items()} == dict.fromkeys(
            ("broker", *ROLES), "running"
        )

    def test_it_writes_nothing_outside_of_its_folders(self, first, bare):
        """The home folder has the cache and the data, and no Maven repository or Java of its own."""
        assert {p.name for p in bare.home.iterdir()} <= {"data", ".cache", ".config", ".local"}

    def test_the_page_and_the_api_answer(self, first, bare):
        """The addresses that were printed work."""
        assert bare.get("/api/ping").json()["success"] is True
        page = bare.get("/")
        assert page.headers["content-type"].startswith("text/html")

    def test_this_machine_is_watched(self, first, bare):
        """Every target of the default configuration is healthy, if not all at once: a busy machine answers late."""
        targets, healthy = set(), set()

        def all_were():
            for target in bare.get("/api/targets").json().get("targets", []):
                targets.add(target["name"])
                if target["status"] == "healthy":
                    healthy.add(target["name"])
            return healthy == {"this-machine", "broker", "gateway", "dashboard", "broker-port"} == targets

        wait_for("all have been healthy", all_were)

    def test_a_start_is_no_alert(self, first, bare):
        """Nothing that is only not there yet is told as down."""
        alerts = bare.get("/api/health/alerts").json()["alerts"]
        assert [a for a in alerts if a["notify"]] == []

    def test_everything_listens_on_loopback_only(self, first, bare):
        """Nobody else on the network can reach what was started."""
        addresses = {
            c.laddr.ip for p in first.family() for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN
        }
        assert addresses
        assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

    def test_topics_tells_who_writes_and_reads_what(self, first, bare):
        """Samples have arrived, and the table says between whom they travel."""
        rows = {r["topic"]: r for r in json.loads(bare.cli("topics", "--json").stdout)}
        assert rows["samples"]["records"] > 0
        assert rows["samples"]["read_by"] == ["detect"]
        assert "samples" in bare.cli("topics").stdout

    def test_tail_prints_decoded_records(self, first, bare):
        """A record of a live topic comes out as JSON with the fields of its schema."""
        done = bare.cli("tail", "samples", "--from-beginning", "-n", "2", "--json")
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["schema"] for line in lines] == ["sample_batch"] * 2
        assert lines[0]["value"]

    def test_a_topic_that_does_not_exist_is_answered_with_the_nearest(self, first, bare):
        """A typo costs one look."""
        done = bare.cli("tail", "sample")
        assert (done.returncode, done.stdout) == (2, "")
        assert "did you mean samples?" in done.stderr

    def test_status_says_that_all_runs(self, first, bare):
        """Exit code 0, for scripts, and each role with its process for people."""
        done = bare.cli("status")
        assert done.returncode == 0
        assert all(role in done.stdout for role in ROLES)

    def test_a_second_instance_on_the_same_data_is_refused(self, first, bare):
        """It says which process is in the way, and leaves that one alone."""
        done = bare.cli("up")
        assert done.returncode == 1
        assert f"process {bare.status()['pid']}" in done.stderr
        assert "--data DIR" in done.stderr
        assert "Traceback" not in done.stderr
        assert bare.cli("status").returncode == 0

    @pytest.mark.parametrize("role", [*ROLES, "broker"])
    def test_a_killed_process_is_restarted_and_this_is_seen(self, first, bare, role):
        """SIGKILL is told on the terminal and in status.json, and a second or more later it runs again."""
        before = bare.status()["roles"][role]
        os.kill(before["pid"], signal.SIGKILL)
        wait_for("restart counted", lambda: bare.status()["roles"][role]["restarts"] > before["restarts"])
        now = wait_for(
            "running again",
            lambda: (p := bare.status()["roles"][role])["state"] == "running" and p["pid"] != before["pid"] and p,
        )
        assert now["last_exit"] == "SIGKILL"
        first.wait_text(f"{role} died (SIGKILL)")
        first.wait_text(f"{role} is running again")

    def test_samples_flow_after_all_that(self, first, bare):
        """After every process has been killed once, new samples still become health."""
        then = time.time()

        def fresh():
            try:
                targets = bare.get("/api/targets").json().get("targets", [])
            except httpx.HTTPError:
                return False
            times = [t["last_check"] or "" for t in targets]
            return times and all(t > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(then)) for t in times)

        wait_for("every target checked anew", fresh)

    def test_ctrl_c_stops_everything(self, first, bare):
        """Every process ends by itself, none is left, and the terminal is free again."""
        assert len(first.family()) >= len(ROLES) + 2
        first.ctrl_c()
        assert bare.cli("status").returncode == 1

    def test_a_second_start_fetches_nothing_and_keeps_the_data(self, clone, bare, tmp_path):
        """Nothing is fetched or installed again, and what was recorded is still there."""
        again = Program(["make", "up"], bare.env, clone, tmp_path / "second")
        try:
            again.wait_text(EVERYTHING)
            assert "installing" not in again.text
            assert "fetch" not in again.text
            assert "created" not in again.text
            rows = {r["topic"]: r for r in json.loads(bare.cli("topics", "--json").stdout)}
            assert rows["samples"]["records"] > 5
            again.ctrl_c()
        finally:
            again.end()


def test_nothing_outlives_a_supervisor_that_is_killed(installation, program):
    """SIGKILL on the supervisor takes the broker and every role along; the next start recovers."""
    run = program(installation, "broker", "start", "--foreground")
    run.wait_text(EVERYTHING)
    family = run.family()
    assert len(family) == 2
    run.process.kill()
    wait_for("all gone", lambda: gone(family))
    again = program(installation, "broker", "start", "--foreground")
    again.wait_text(EVERYTHING)
    again.ctrl_c()


@pytest.mark.parametrize(("which", "field"), [("kafka_port", "kafka.embedded_port"), ("page_port", "gateway.port")])
def test_a_port_in_use_is_named_with_its_field(installation, which, field):
    """The message has the port, what wanted it, and the field that changes it."""
    port = getattr(installation, which)
    with socket.create_server(("127.0.0.1", port)):
        done = installation.cli("up")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert field in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_configuration_starts_nothing(installation, tmp_path):
    """`up` and `run` say what `check` says, with exit code 2."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("gateway:\n  prot: 80\n")
    for command in (["up", "--config"], ["run", "probe", "--config"], ["check"]):
        done = installation.cli(*command, str(bad))
        assert done.returncode == 2
        assert f"{bad}:2:3: gateway.prot: unknown field; did you mean port?" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (installation.data / "status.json").exists()


def test_a_corrupt_jar_is_noticed_and_fetched_again(installation, program, tmp_path):
    """Not one changed byte gets onto the class path."""
    cache = tmp_path / "cache"
    shutil.copytree(cache_folder() / "jars", cache / "jars")
    jar = next(cache / "jars" / p.name for p in pinned() if p.artifact == "jopt-simple")
    good = jar.read_bytes()
    jar.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    installation.env["PROBESTREAM_CACHE"] = str(cache)
    run = program(installation, "broker", "start", "--foreground")
    run.wait_text(EVERYTHING)
    assert "46 of 46 jars" in run.text
    assert jar.read_bytes() == good
    run.ctrl_c()


def test_the_broker_alone_runs_in_the_background(installation):
    """start returns once it answers, status tells so, stop stops it, each with an exit code for scripts."""
    assert installation.cli("broker", "status").returncode == 1
    started = installation.cli("broker", "start")
    assert started.returncode == 0, started.stderr
    assert f"127.0.0.1:{installation.kafka_port}" in started.stdout
    run = psutil.Process(installation.status()["pid"])
    family = [*run.children(recursive=True), run]
    try:
        assert installation.cli("broker", "status").returncode == 0
        assert "another Probestream" in installation.cli("broker", "start").stderr
        assert installation.cli("topics", "--create").returncode == 0
    finally:
        stopped = installation.cli("broker", "stop")
    assert stopped.returncode == 0, stopped.stderr
    wait_for("all gone", lambda: gone(family))


def test_an_outside_kafka_that_does_not_answer_is_named(installation):
    """A command that needs the cluster says which one does not answer, without a traceback."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        done = installation.cli("topics", PROBESTREAM_KAFKA=address)
    assert done.returncode == 1
    assert address in done.stderr
    assert "Traceback" not in done.stderr


def test_roles_share_one_cluster_that_is_brought_along(installation, program, broker):
    """With PROBESTREAM_KAFKA set, no broker is started and every role works on that cluster."""
    installation.env |= {"PROBESTREAM_KAFKA": broker, "PROBESTREAM__KAFKA__PREFIX": f"own{os.getpid()}."}
    run = program(installation, "up")
    run.wait_text(EVERYTHING)
    assert set(installation.status()["roles"]) == set(ROLES)
    assert not any("kafka.Kafka" in " ".join(p.cmdline()) for p in run.family())
    run.ctrl_c()


@pytest.mark.parametrize(
    "command", ["up", "init", "check", "schema", "status", "topics", "tail", "probe", "run", "broker", "version"]
)
def test_help_is_there_for_every_command(command):
    """Each command explains itself in a sentence or more."""
    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert len(done.stdout) > 150
