"""The roles: what ``probestream run ROLE`` starts, in the order of the flow."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from probestream.processes import alive, end_within

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from probestream.config import Config
    from probestream.data import DataFolder

ROLES = ("probe", "logs", "detect", "alert", "notify", "history", "gateway")
READY_FILE = "PROBESTREAM_READY_FILE"
AFTER_FILES = "PROBESTREAM_AFTER_FILES"
_PARENT = "PROBESTREAM_PARENT"
_TOPICS_TIMEOUT_S = 60.0
_OTHERS_TIMEOUT_S = 30.0
_END_WITHIN_S = 5.0
log = logging.getLogger("probestream.run")


def history_url(config: Config, data: DataFolder) -> str:
    """SQLAlchemy URL of the history: ``storage.url``, or a SQLite file in the data folder."""
    if config.storage.url is not None:
        return config.storage.url.get_secret_value()
    return f"sqlite:///{data.history}"


def role(  # noqa: PLR0911 - one return a role
    name: str,
    config: Config,
    data: DataFolder,
    stop: asyncio.Event,
    ready: Callable[[], None],
    reread: Callable[[], Config] | None = None,
) -> Coroutine[None, None, None]:
    """The work of role `name` until `stop` is set; `reread` loads its file again. Imports that role only."""
    kafka = config.kafka
    if name == "probe":
        from agents.probe import app as probe  # noqa: PLC0415 - a process needs one role's libraries, not all of them

        return probe.run(
            kafka=kafka,
            settings=config.probe,
            targets=config.targets,
            stop=stop,
            ready=ready,
            reread=None if reread is None else lambda: reread().targets,
        )
    accept_unknown = config.detect.unknown_targets == "accept"
    if name == "logs":
        from agents.logs import app as logs  # noqa: PLC0415

        return logs.run(
            kafka=kafka,
            settings=config.logs,
            targets=config.targets,
            accept_unknown=accept_unknown,
            stop=stop,
            ready=ready,
        )
    if name == "detect":
        from agents.detect import app as detect  # noqa: PLC0415

        return detect.run(
            kafka=kafka, settings=config.detect, targets=config.targets, rules=config.rules, stop=stop, ready=ready
        )
    if name == "alert":
        from agents.alert import app as alert  # noqa: PLC0415
        from probestream.suppressing import suppressions_of  # noqa: PLC0415

        return alert.run(
            kafka=kafka,
            settings=config.alert,
            targets=config.targets,
            rules=config.rules,
            suppressions=suppressions_of(config),
            stop=stop,
            ready=ready,
        )
    if name == "notify":
        from agents.notify import app as notify  # noqa: PLC0415

        return notify.run(
            kafka=kafka,
            settings=config.notify,
            route=config.route,
            receivers=config.receivers,
            preferences=config.preferences,
            stop=stop,
            ready=ready,
        )
    url = history_url(config, data)
    if name == "history":
        from agents.history import app as history  # noqa: PLC0415

        return history.run(kafka=kafka, settings=config.storage, url=url, stop=stop, ready=ready)
    from agents.gateway import app as gateway  # noqa: PLC0415
    from probestream.declared import declared_of  # noqa: PLC0415
    from probestream.explaining import setup_of  # noqa: PLC0415

    return gateway.run(
        kafka=kafka,
        settings=config.gateway,
        targets=config.targets,
        rules=config.rules,
        maintenance=config.maintenance,
        silences=config.silences,
        url=url,
        stop=stop,
        ready=ready,
        accept_unknown=accept_unknown,
        declared=declared_of(config),
        explaining=setup_of(config),
    )


def run(name: str, config: Config, data: DataFolder, reread: Callable[[], Config] | None = None) -> int:
    """Run role `name` until SIGTERM or SIGINT; the exit code: 0 stopped as asked, 1 failed."""
    from uvloop import new_event_loop  # noqa: PLC0415 - other commands do not need it

    set_up_logging()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        code = runner.run(_run(name, config, data, reread))
        # Leaving the runner waits for every task, and the interpreter for every thread; one of Faust's may not end.
        end_within(_END_WITHIN_S, code)
    return code


async def _run(name: str, config: Config, data: DataFolder, reread: Callable[[], Config] | None) -> int:
    from streams.topics import TopicError  # noqa: PLC0415 - the list of roles must stay quick to import

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if stop.is_set():  # a second Ctrl-C means: now
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    watch = asyncio.create_task(_watch_parent(stop))
    try:
        # Before Kafka is up, each refused connection would be an error line.
        clients = logging.getLogger("aiokafka")
        level = clients.level
        clients.setLevel(logging.CRITICAL)
        waiting = asyncio.create_task(_wait_for_kafka(config))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stop.is_set():
            waiting.cancel()
            return 0
        waiting.result()
        clients.setLevel(level)
        from agents.watch import serving  # noqa: PLC0415 - as above

        port = config.watch.port and config.watch.port + ROLES.index(name)
        async with alive(), serving(data.metrics, name, config.watch.host, port):
            await role(name, config, data, stop, _ready, reread)
    except TopicError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all
        return 1
    except Exception as error:  # the edge of the program: the supervisor restarts the role
        log.exception("role %s failed: %s: %s", name, type(error).__name__, error)  # noqa: TRY401 - the line is shown alone
        return 1
    finally:
        watch.cancel()
    if not stop.is_set():
        log.error("role %s ended by itself", name)
        return 1
    return 0


async def _wait_for_kafka(config: Config) -> None:
    """Wait until the topics are there. Raises TopicError after a minute."""
    from streams.topics import wait_for_topics  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    deadline = loop.time() + _TOPICS_TIMEOUT_S
    servers = [server.strip().rpartition(":") for server in config.kafka.servers.split(",")]
    # A bare connection first: roles that each ask in Kafka's protocol would slow down the broker's own start.
    while loop.time() < deadline:
        if any([await _listens(host, port) for host, _, port in servers]):
            break
        await asyncio.sleep(0.1)
    await wait_for_topics(config.kafka, max(1.0, deadline - loop.time()))
    await _wait_for_others()


async def _wait_for_others() -> None:
    """Wait a while for the roles that the supervisor wants to be ready before this one."""
    files = [Path(path) for path in os.environ.get(AFTER_FILES, "").split(os.pathsep) if path]
    deadline = asyncio.get_running_loop().time() + _OTHERS_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline:
        if all(path.exists() for path in files):
            break
        await asyncio.sleep(0.05)


async def _listens(host: str, port: str) -> bool:
    try:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError):  # TimeoutError is an OSError
        return False
    writer.close()
    return True


def _ready() -> None:
    if path := os.environ.get(READY_FILE):
        Path(path).touch()
    log.info("ready")


async def _watch_parent(stop: asyncio.Event) -> None:
    """Stop when the supervisor is gone, where the kernel does not see to it (Linux does, see processes.py)."""
    parent = os.environ.get(_PARENT, "")
    while sys.platform != "linux" and parent.isdigit():
        if os.getppid() != int(parent):
            stop.set()
            return
        await asyncio.sleep(1.0)


def role_environment(ready_file: Path, kafka: str, after: Sequence[Path] = ()) -> dict[str, str]:
    """What the supervisor tells a role: where to say that it is ready, and whose readiness to wait for."""
    return {
        READY_FILE: str(ready_file),
        AFTER_FILES: os.pathsep.join(str(path) for path in after),
        _PARENT: str(os.getpid()),
        "PROBESTREAM_KAFKA": kafka,
    }


def set_up_logging() -> None:
    """One format on standard error; PROBESTREAM_LOG names the level."""
    level = os.environ.get("PROBESTREAM_LOG", "INFO").upper()
    logging.basicConfig(
        level=level if level in logging.getLevelNamesMapping() else "INFO",
        format="%(asctime)s %(levelname)-8s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    # Their INFO tells of every rebalance, request and connection.
    for noisy in ("aiokafka", "faust", "mode", "httpx", "httpcore", "asyncio", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
