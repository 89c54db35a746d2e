"""``probestream up``: everything on this machine."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from probestream.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    DataOption,
    config_path,
    data_folder,
    load_config,
)

if TYPE_CHECKING:
    from probestream.supervisor.supervisor import Supervisor


def up(config: ConfigOption = None, data: DataOption = None) -> None:
    """Start Kafka and every role on this machine, and keep them running until Ctrl-C.

    Kafka is fetched at the first start and kept in your cache folder. With kafka.bootstrap (or PROBESTREAM_KAFKA)
    set, that cluster is used instead. What has not ended 10 s after Ctrl-C is killed; PROBESTREAM_STOP_PATIENCE adds
    seconds to that, for a machine that is slow.
    """
    from probestream.supervisor.display import Display  # noqa: PLC0415 - light commands do without it
    from probestream.supervisor.plan import plan  # noqa: PLC0415

    path = config_path(config)
    settings = load_config(config)
    folder = data_folder(data)
    display = Display()
    with folder.locked():
        if path == DEFAULT_CONFIG:
            display.say("no ./probestream.yaml: using the built-in default; `probestream init` puts it here to edit")
        else:
            display.say(f"configuration {path}")
        supervise(plan(settings, path, folder, display))


def supervise(supervisor: Supervisor) -> None:
    """Run `supervisor` until Ctrl-C, SIGTERM or a closed terminal."""

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask() -> None:
            if not stop.is_set():
                supervisor.display.say("stopping")
                stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, ask)
        await supervisor.run(stop)
        supervisor.display.say("stopped")

    asyncio.run(work())
