"""The data folder: where everything that must survive a restart lies, and the lock that keeps it to one program."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator


class DataError(RuntimeError):
    """The data folder cannot be used; the message says why and what to do."""


def default_folder() -> Path:
    """PROBESTREAM_DATA, or the user's data folder."""
    if chosen := os.environ.get("PROBESTREAM_DATA"):
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_data_dir("probestream"))


class DataFolder:
    """The files of one installation, by name."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = (path or default_folder()).expanduser().absolute()
        self.kafka = self.path / "kafka"
        self.kafka_properties = self.path / "kafka.properties"
        self.logs = self.path / "logs"
        self.status = self.path / "status.json"
        self.history = self.path / "history.sqlite"
        self.metrics = self.path / "run" / "metrics"
        self.lock_file = self.path / "lock"

    def make(self) -> None:
        """Create the folder, for its owner's eyes only. Raises DataError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(
                f"the data folder {self.path} cannot be made: {error.strerror}. Choose another with --data DIR or "
                f"PROBESTREAM_DATA."
            ) from error

    def holder(self) -> int | None:
        """Process id of the program that uses the folder now, or None; 0 where it cannot be told."""
        try:
            with self.lock_file.open("r") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read().strip()
                    return int(text) if text.isdigit() else 0
        except OSError:
            return None
        return None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep other programs out of it. Raises DataError where one is in it."""
        self.make()
        try:
            file = self.lock_file.open("a+")
        except OSError as error:
            raise DataError(f"the data folder {self.path} cannot be written to: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                pid = file.read().strip() or "unknown"
                raise DataError(
                    f"another Probestream (process {pid}) already uses the data folder {self.path}. "
                    f"`probestream status` shows it. Stop it with `kill {pid}`, or give this one a folder of its own "
                    f"with --data DIR and ports of its own (kafka.embedded_port, gateway.port)."
                ) from None
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield
