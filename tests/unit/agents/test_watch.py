"""Each role's metrics endpoint, and the gateway's view of all of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import httpx
from prometheus_client.parser import text_string_to_metric_families

from agents import watch
from agents.gateway.federation import federated


async def samples(folder) -> dict[tuple[str, ...], float]:
    text = (await federated(folder)).decode()
    names = [f.name for f in text_string_to_metric_families(text)]
    assert len(names) == len(set(names)), "a family is there twice"
    return {
        (s.name, s.labels.get("role", ""), s.labels.get("worker", "")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


async def test_role_answers_a_scrape_and_nothing_else(tmp_path):
    """GET /metrics is Prometheus's text; anything else is a 404, and noise on the port does no harm."""
    async with watch.serving(tmp_path, "detect") as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:
        _, noise = await asyncio.open_connection("127.0.0.1", port)
        noise.write(b"\x16\x03\x01\r\n\r\n")
        answer = await web.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, watch.CONTENT_TYPE)
        assert "process_cpu_seconds_total" in answer.text
        assert (await web.get("/")).status_code == 404
        noise.close()


async def test_gateway_has_the_numbers_of_every_role_in_the_folder(tmp_path):
    """Families of several roles are one each, their samples told apart by role and worker; the dead are down."""
    async with watch.serving(tmp_path, "detect"), watch.serving(tmp_path, "alert"):
        (tmp_path / "history-1.json").write_text(
            json.dumps({"role": "history", "worker": "1", "pid": 1, "host": "127.0.0.1", "port": 1})
        )
        (tmp_path / "broken-1.json").write_text("{")
        found = await samples(tmp_path)
    assert found["probestream_role_up", "detect", "1"] == 1
    assert found["probestream_role_up", "alert", "1"] == 1
    assert found["probestream_role_up", "history", "1"] == 0
    assert found["process_cpu_seconds_total", "detect", "1"] > 0
    assert ("probestream_role_up", "broken", "1") not in found
    assert ("probestream_role_up", "detect", "1") not in await samples(tmp_path), "a role that ended in order is gone"


async def test_no_folder_no_roles():
    """A gateway that knows of no folder has only its own numbers."""
    assert "probestream_role_up{" not in (await federated(None)).decode()


async def test_second_worker_of_a_role_has_its_own_label_and_a_restart_the_old_one(tmp_path):
    """Labels stay the same over restarts, and two processes that live never share them."""
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    note = tmp_path / "detect-1.json"
    note.write_text(json.dumps({"role": "detect", "worker": "1", "pid": other.pid, "host": "127.0.0.1", "port": 1}))
    async with watch.serving(tmp_path, "detect"):
        assert json.loads((tmp_path / "detect-2.json").read_text())["pid"] == os.getpid()
    other.kill()
    other.wait()
    async with watch.serving(tmp_path, "detect"):
        assert json.loads(note.read_text())["pid"] == os.getpid()


async def test_why_a_role_ended_is_counted_over_its_restarts(tmp_path):
    """What ended the process is still counted when the next one is asked."""
    name = ("probestream_gave_up_total", "detect", "1")
    async with watch.serving(tmp_path, "detect"):
        before = (await samples(tmp_path))[name]
        watch.gave_up("watchdog")
    code = "import pathlib, sys; from agents import watch; watch._ends.open(pathlib.Path(sys.argv[1])); print(watch._ends.counts)"
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "detect-1.ends")], capture_output=True, text=True, check=True
    )
    assert f"'watchdog': {int(before) + 1}" in said.stdout


async def test_port_that_is_taken_does_not_keep_a_role_from_working(tmp_path, caplog):
    """It says so in the log, and goes on."""
    async with watch.serving(tmp_path, "detect") as port, watch.serving(tmp_path, "alert", port=port) as none:
        assert none == 0
        assert "cannot be listened on" in caplog.text
