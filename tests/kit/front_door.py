"""Starts the whole program as a person does, and watches it from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from probestream.supervisor.supervisor import MORE_PATIENCE
from tests.kit.ports import free_port
from tests.kit.role import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
ROLES = ("probe", "logs", "detect", "alert", "notify", "history", "gateway")
# All that a bare machine has: no java, mvn, docker, node, git or compiler.
TOOLS = ("make", "sh", "rm", "touch", "find", "cat", "mkdir")


def wait_for(what: str, check: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """The first true value of `check`; fails with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.05)
    return value


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they have ended; one that nobody has waited for yet has ended too."""

    def ended(process: psutil.Process) -> bool:
        try:
            return bool(process.status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    return all(ended(p) for p in processes)


def copy_of_the_repository(target: Path) -> Path:
    """The files that a clone would have, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = ROOT / name
        if source.is_symlink() or source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return target


def bare_path(folder: Path) -> str:
    """A PATH on which only Python, make and a few core tools lie."""
    folder.mkdir()
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return str(folder)


class Program:
    """One run of a command in a session of its own, with what it printed."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path, output: Path) -> None:
        self.output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def wait_text(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until it has printed `text`."""

        def there() -> bool:
            if text in self.text:
                return True
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text}"
            return False

        try:
            wait_for(f"{text!r} printed", there, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None

    def family(self) -> list[psutil.Process]:
        """Every process it started, itself last."""
        own = psutil.Process(self.process.pid)
        return [*own.children(recursive=True), own]

    def ctrl_c(self) -> None:
        """What a terminal does at Ctrl-C; returns when the program has gone of itself, with all that it started."""
        family = self.family()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE_S)
        wait_for(f"all gone: {family}", lambda: gone(family))
        assert "stopped" in self.text
        assert "killing" not in self.text, self.text  # nothing had to be killed

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process.poll() is None:
            for process in self.family():
                process.kill()
            self.process.wait(PATIENCE_S)


class Installation:
    """Settings under which the program runs, apart from everything else on this machine."""

    def __init__(self, home: Path, path: str | None = None) -> None:
        self.home = home
        self.kafka_port, self.page_port = free_port(), free_port()
        self.data = home / "data"
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("PROBESTREAM", "XDG_", "VIRTUAL_ENV", "MAKE", "MFLAGS", "ARGS"))
        }
        self.env = kept | {
            "HOME": str(home),
            "PROBESTREAM_DATA": str(self.data),
            "PROBESTREAM__KAFKA__EMBEDDED_PORT": str(self.kafka_port),
            "PROBESTREAM__GATEWAY__PORT": str(self.page_port),
            # Whether all end by themselves, however slow the machine.
            MORE_PATIENCE: str(PATIENCE_S / 2),
        }
        if path is not None:
            self.env["PATH"] = path

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.page_port}"

    def get(self, path: str) -> httpx.Response:
        """What the page's server answers."""
        return httpx.get(f"{self.page}{path}", timeout=PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """status.json, its processes by role."""
        try:
            values: dict[str, Any] = json.loads((self.data / "status.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return values | {"roles": {p["role"]: p for p in values["processes"]}}

    def cli(self, *arguments: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a short command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "probestream", *arguments],
            env=self.env | env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
