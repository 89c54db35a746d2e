"""Starts the broker and the roles, keeps them running, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from probestream.broker import run as broker_run
from probestream.broker.server import HOST, answers, settle
from probestream.reload import FileWatch
from probestream.supervisor import status
from probestream.supervisor.child import Child, Spec, State
from streams.topics import TopicError, create_topics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from probestream.data import DataFolder
    from probestream.supervisor.display import Display
    from streams.kafka import KafkaSettings

# Ctrl-C ends everything within 10 s: each role is given a moment before the next one in the flow is told, all of
# them together a little longer, and the broker, which every role needs to finish its work, comes last. A machine on
# which processes stand still for seconds may be told to have more patience before it kills: it adds to both.
MORE_PATIENCE = "PROBESTREAM_STOP_PATIENCE"
EACH_ROLE_S = 0.8
ALL_ROLES_S = 6.5
BROKER_S = 2.0
ROLES_AFTER_S = 4.0
SLOW_AFTER_S = 30.0
KAFKA_TIMEOUT_S = 30.0


class StartError(RuntimeError):
    """The start cannot succeed until a person changes something; the message says what."""


class Supervisor:
    """The broker (where `port` names one) and the `roles`, in flow order."""

    def __init__(
        self,
        *,
        mode: str,
        data: DataFolder,
        display: Display,
        kafka: KafkaSettings,
        port: int | None,
        roles: Sequence[Spec] = (),
        page: str | None = None,
        config: Path | None = None,
    ) -> None:
        self.mode, self.data, self.display, self.kafka = mode, data, display, kafka
        self.page, self.config = page, config
        self.broker = Child(self._broker_spec(port), self._changed) if port is not None else None
        self.roles = [Child(role, self._changed) for role in roles]
        self._files = FileWatch(config, kafka, display.say) if config is not None and roles else None
        self._started = status.now()
        self._since: dict[str, str] = {}
        self._problem: list[str] = []
        self._booting = asyncio.Event()
        self._hopeless = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises StartError where the start is hopeless; nothing is left running then."""
        boot = asyncio.create_task(self._boot())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({boot, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if boot.done():
                boot.result()
                await stopped
        finally:
            boot.cancel()
            if self._watching is not None:
                self._watching.cancel()
            stopped.cancel()
            await self._stop()

    def _watch(self) -> None:
        """Bring changes of the file to the roles, where there are any."""
        if self._files is not None:
            self._watching = asyncio.create_task(self._files.run())

    async def _boot(self) -> None:
        if self.broker is not None:
            self.broker.start()
            await self._either(self._booting)
            # Six Pythons that start beside it would make Kafka's own start three times as long, and all of them
            # wait for it: on two cores everything runs after 7 s this way, after 10 s the other way.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._either(self.broker.was_ready), ROLES_AFTER_S)
        for role in self.roles:
            role.start()
        if self.broker is not None:
            await self._either(self.broker.was_ready)
            self.display.say(f"Kafka answers on {self.kafka.servers}")
            await settle(self.kafka)
        else:
            await self._outside_kafka()
        try:
            made = await create_topics(self.kafka)
        except TopicError as error:
            raise StartError(str(error)) from error
        if made:
            self.display.say(f"{len(made)} topics created: {self.kafka.prefix}*")
        self._watch()
        while slow := [role for role in self.roles if not role.was_ready.is_set()]:
            try:
                async with asyncio.timeout(SLOW_AFTER_S):
                    for role in slow:
                        await role.was_ready.wait()
            except TimeoutError:
                names = ", ".join(role.spec.name for role in slow if not role.was_ready.is_set())
                self.display.say(f"still starting: {names}; logs in {self.data.logs}", "yellow")
        self._summary()

    async def _either(self, event: asyncio.Event) -> None:
        """Wait for `event`, or raise StartError where the broker says that it cannot start."""
        waits = [asyncio.create_task(e.wait()) for e in (event, self._hopeless)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not event.is_set():
            raise StartError("\n".join(self._problem) or "the embedded Kafka cannot start")

    async def _outside_kafka(self) -> None:
        self.display.say(f"connecting to Kafka at {self.kafka.servers}")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + KAFKA_TIMEOUT_S
        while (reason := await answers(self.kafka)) is not None:
            if loop.time() > deadline:
                raise StartError(
                    f"Kafka at {self.kafka.servers} does not answer after {KAFKA_TIMEOUT_S:.0f} s: {reason}\n"
                    f"Check kafka.bootstrap (or PROBESTREAM_KAFKA), kafka.security and the network; without a "
                    f"kafka.bootstrap the embedded Kafka is used."
                )
            await asyncio.sleep(0.25)

    def _broker_spec(self, port: int) -> Spec:
        async def ready() -> bool:
            return self._booting.is_set() and await answers(self.kafka) is None

        return Spec(
            name="broker",
            command=broker_run.command(self.data, port),
            log=self.data.logs / "broker.out",
            log_of_interest=self.data.logs / "broker.log",
            ready=ready,
            on_line=self._broker_line,
        )

    def _broker_line(self, line: bytes) -> None:
        word, _, rest = line.decode("utf-8", "replace").partition(" ")
        if word == broker_run.FETCHED:
            done, total, name = rest.split(" ", 2)
            self.display.fetched(int(done), int(total), name)
        elif word == broker_run.BOOTING:
            self.display.say(f"starting Apache Kafka on {HOST}:{self.kafka.servers.rpartition(':')[2]}")
            self._booting.set()
        elif word == broker_run.PROBLEM:
            self._problem.append(rest)
            if self.broker is not None and self.broker.was_ready.is_set():
                self.display.say(f"broker: {rest}", "red")

    def _changed(self, child: Child) -> None:
        self._since[child.spec.name] = status.now()
        hopeless = child is self.broker and bool(self._problem) and not child.was_ready.is_set()
        if hopeless and child.state is State.BACKOFF:
            self._hopeless.set()
        else:
            self.display.changed(child)
        self._write_status()

    def _write_status(self) -> None:
        """Bring ``status.json`` up to date; a full disk must not end the supervision."""
        children = ([self.broker] if self.broker is not None else []) + self.roles
        now = status.Status(
            mode=self.mode,
            pid=os.getpid(),
            started=self._started,
            config=str(self.config) if self.config else None,
            kafka=self.kafka.servers,
            page=self.page,
            processes=tuple(
                status.ChildStatus(
                    role=c.spec.name,
                    state=c.state.value,
                    pid=c.pid,
                    restarts=c.restarts,
                    last_exit=c.last_exit,
                    since=self._since.get(c.spec.name, self._started),
                )
                for c in children
            ),
        )
        try:
            status.write(self.data.status, now)
        except OSError as error:
            self.display.say(f"{self.data.status} cannot be written: {error.strerror}", "yellow")

    def _summary(self) -> None:
        self.display.summary(
            {
                "Dashboard": self.page or "",
                "Kafka": f"{self.kafka.servers}{' (embedded)' if self.broker else ''}, topics {self.kafka.prefix}*",
                "Data": str(self.data.path),
                "Logs": str(self.data.logs),
                "Stop": "Ctrl-C" if self.mode == "up" else "probestream broker stop",
            }
        )

    async def _stop(self) -> None:
        self.display.end_progress()
        loop = asyncio.get_running_loop()
        began, more_s = loop.time(), _more_patience_s()
        for role in self.roles:
            role.stop()
            await role.ended(EACH_ROLE_S)
        for role in self.roles:
            await self._end(role, ALL_ROLES_S + more_s - (loop.time() - began))
        if self.broker is not None:
            self.broker.stop()
            await self._end(self.broker, BROKER_S + more_s)
        self._write_status()

    async def _end(self, child: Child, within_s: float) -> None:
        if not await child.ended(within_s):
            self.display.say(f"{child.spec.name} does not stop; killing it", "yellow")
            child.stop(signal.SIGKILL)
            await child.ended(2.0)


def _more_patience_s() -> float:
    """Seconds; 0 where nobody asked for any, or for nonsense, which must not keep anything from being stopped."""
    try:
        return max(0.0, float(os.environ.get(MORE_PATIENCE, "0")))
    except ValueError:
        return 0.0
