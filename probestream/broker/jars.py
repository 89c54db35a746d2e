"""The jars of Apache Kafka: fetched once from Maven Central, each checked against a pinned SHA-256.

``jars.sha256`` beside this file lists ``group:artifact:version`` and the hash of every jar. It has no addresses:
jgo knows where Maven repositories are, and takes a mirror from its own settings.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIN_FILE = Path(__file__).with_name("jars.sha256")
_AT_ONCE = 8
_TRIES = 3


class BrokerError(RuntimeError):
    """The embedded broker cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.artifact}-{self.version}.jar"


class Progress(Protocol):
    """Told of each jar that is there: how many are, how many there will be, and its name."""

    def __call__(self, done: int, total: int, name: str) -> None: ...


def pinned(path: Path = PIN_FILE) -> tuple[Jar, ...]:
    """Every jar that the broker runs on, in the order of the class path."""
    jars = []
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, digest))
    return tuple(jars)


def cache_folder() -> Path:
    """Where jars are kept: PROBESTREAM_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("PROBESTREAM_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("probestream"))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def broken(folder: Path, jars: Sequence[Jar]) -> list[Jar]:
    """Those of `jars` that `folder` lacks or holds with another content. Reads every byte: 0.1 s for all."""

    def bad(jar: Jar) -> bool:
        try:
            return sha256(folder / jar.name) != jar.sha256
        except OSError:
            return True

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [jar for jar, is_bad in zip(jars, pool.map(bad, jars), strict=True) if is_bad]


def ensure(folder: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """The class path, every jar on it verified; what is missing or corrupt is fetched anew.

    Raises BrokerError where a jar cannot be fetched, or comes with another content than the pinned one.
    """
    jars = pinned()
    folder = folder or cache_folder() / "jars"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(
            f"the cache folder {folder} cannot be made ({error.strerror}): set PROBESTREAM_CACHE to a folder "
            f"that you may write to"
        ) from error
    with _locked(folder):
        wanted = broken(folder, jars)
        if wanted:
            _fetch(folder, wanted, len(jars), progress)
    return [folder / jar.name for jar in jars]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process fetches into `folder` at a time; the others wait, then find everything there."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, wanted: list[Jar], total: int, progress: Progress | None) -> None:
    for left in folder.glob(".fetch-*"):  # of a fetch that was killed; the lock says that none is under way
        shutil.rmtree(left, ignore_errors=True)
    # A folder of its own for each fetch: jgo takes a half-written file of an interrupted run for a whole one.
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        futures = [pool.submit(_fetch_one, jar, Path(temporary), folder) for jar in wanted]
        done = total - len(wanted)
        try:
            for future in as_completed(futures):
                done += 1
                name = future.result()
                if progress is not None:
                    progress(done, total, name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(jar: Jar, temporary: Path, folder: Path) -> str:
    """Fetch `jar` into `folder`; it appears there whole and verified or not at all."""
    problem = ""
    for attempt in range(_TRIES):
        repository = temporary / f"{jar.name}.{attempt}"
        try:
            path = _download(jar, repository)
        except Exception as error:  # requests, jgo and the file system each have their own
            problem = f"{type(error).__name__}: {error}"
            continue
        if (digest := sha256(path)) == jar.sha256:
            path.replace(folder / jar.name)
            shutil.rmtree(repository, ignore_errors=True)
            return jar.name
        problem = f"it came with SHA-256 {digest}, and {jar.sha256} is pinned"
    raise BrokerError(
        f"cannot fetch {jar.group}:{jar.artifact}:{jar.version}: {problem}\n"
        f"Check the connection to Maven Central (a mirror goes into [repositories] of ~/.config/jgo.conf), "
        f"or set kafka.bootstrap to a Kafka of your own."
    )


def _download(jar: Jar, repository: Path) -> Path:
    from jgo.config import GlobalSettings  # noqa: PLC0415 - 0.3 s that a start with all jars there need not spend
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    mirrors = GlobalSettings.load().repositories
    context = MavenContext(repo_cache=repository, remote_repos={**mirrors, "central": MAVEN_CENTRAL_URL}, timeout=30)
    return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
