"""A real PostgreSQL on loopback, in a folder of its own, that a test may stop and start."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from streams.history import connect
from tests.kit.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEBIAN = "/usr/lib/postgresql"
_WAIT_S = 60.0
# Speed, and nothing that a container may lack: the tests end this server by signals, never by cutting power.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "16MB",
    "fsync": "off",
}


class Postgres:
    """A server with a superuser `probestream`; its data stay over stop and start."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs, self.port = folder, programs, free_port()
        self.password = uuid.uuid4().hex
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        self._as = _someone_else(folder)

    @property
    def url(self) -> str:
        """As in storage.url."""
        return f"postgresql+psycopg://probestream:{self.password}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        """Make the empty data folder."""
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)  # its folder is closed to others
        self._run("initdb", "-D", "data", "-U", "probestream", "-E", "UTF8", "--no-locale", "--no-sync", "-A",
                  "scram-sha-256", "--pwfile=password")  # fmt: skip

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [x for name, value in _OPTIONS.items() for x in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", "data", "-p", str(self.port), *options]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **self._where())
        deadline = time.monotonic() + _WAIT_S
        engine = connect(self.url)
        try:
            while True:
                try:
                    engine.connect().close()
                except OperationalError:
                    assert self.process.poll() is None, self.log.read_text()[-4000:]
                    assert time.monotonic() < deadline, self.log.read_text()[-4000:]
                    time.sleep(0.05)
                else:
                    return
        finally:
            engine.dispose()

    def stop(self, *, crash: bool = False) -> None:
        """Cut every connection and stop; with `crash`, without a word to clients and with recovery at the next start."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self.process.wait(_WAIT_S)
            self.process = None

    @contextmanager
    def schema(self) -> Iterator[str]:
        """URL of a place of its own for one test, empty; gone at the end."""
        name = f"t{uuid.uuid4().hex[:10]}"
        engine = connect(self.url)
        with engine.begin() as c:
            c.execute(text(f"CREATE SCHEMA {name}"))
        engine.dispose()
        yield f"{self.url}?options=-csearch_path%3D{name}"
        with engine.begin() as c:
            c.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs / program), *arguments], capture_output=True, text=True, check=False, **self._where()
        )
        assert done.returncode == 0, f"{program}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    def _where(self) -> dict[str, Any]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}
        return {"cwd": self.folder, "env": env, **self._as}


def _someone_else(folder: Path) -> dict[str, Any]:
    """For root, whom PostgreSQL refuses: the user to run it as, who is given `folder`."""
    if os.geteuid() != 0:
        return {}
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def programs() -> Path:
    """PostgreSQL's programs. Without them the test is skipped, or fails where PROBESTREAM_REQUIRE_ALL is 1."""
    versions = [p for p in Path(_DEBIAN).glob("*/bin") if p.parent.name.isdecimal() and (p / "postgres").exists()]
    if versions:
        return max(versions, key=lambda p: int(p.parent.name))
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    reason = "no PostgreSQL on this machine: install the package postgresql, or put `postgres` on the PATH"
    if os.environ.get("PROBESTREAM_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server with empty databases; stopped and deleted at the end."""
    where = programs()
    # Not pytest's folder: that one is closed to the user whom the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="probestream-postgres-"))
    server = None
    try:
        server = Postgres(folder, where)
        server.prepare()
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
