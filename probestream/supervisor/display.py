"""What the person at the terminal sees: progress, then the addresses, then whatever goes wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from probestream.supervisor.child import Child, State
from probestream.supervisor.logs import Limit, matters

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN_EVERY = 10


class Display:
    """Lines for a terminal, or plain ones for a log."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._bar: Progress | None = None
        self._limits: dict[str, Limit] = {}

    def say(self, text: str, style: str = "") -> None:
        """One line, with the seconds since the start."""
        self.end_progress()
        seconds = time.monotonic() - self._began
        self.console.print(f"[dim]{seconds:6.1f}s[/dim]  {escape(text)}", style=style or None)

    def fetched(self, done: int, total: int, name: str) -> None:
        """Progress of the download."""
        if not self.console.is_terminal:
            if done % _PLAIN_EVERY == 0 or done == total:
                self.say(f"fetching Apache Kafka: {done} of {total} jars")
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("         fetching Apache Kafka"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[dim]{task.fields[jar]}"),
                console=self.console,
                transient=True,
            )
            self._bar.add_task("", total=total, jar="")
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, jar=name)
        if done == total:
            self.say(f"fetched Apache Kafka: {total} jars, each verified")

    def end_progress(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def line(self, role: str, line: bytes, log: Path) -> None:
        """A child's line: shown if it is a warning or worse, a few of them at a time."""
        if not matters(line):
            return
        limit = self._limits.setdefault(role, Limit())
        if limit.allow(time.monotonic()):
            text = line.decode("utf-8", "replace")
            self.end_progress()
            style = "yellow" if b" WARNING " in line[:60] else "red"
            self.console.print(f"[bold]{role:>8}[/bold] {escape(text)}", style=style)
        elif limit.held == 1:
            self.say(f"{role}: more of these are in {log}", "dim")

    def changed(self, child: Child) -> None:
        """A child that died, or came back."""
        if child.state is State.BACKOFF:
            self.say(
                f"{child.spec.name} died ({child.last_exit}); restart {child.restarts} in {child.pause_s:.0f} s. "
                f"Log: {child.spec.see}",
                "bold red",
            )
        elif child.state is State.RUNNING and child.restarts:
            self.say(f"{child.spec.name} is running again (process {child.pid})", "green")

    def summary(self, places: dict[str, str]) -> None:
        """Where to look, once everything runs."""
        self.say("everything runs", "bold green")
        for name, place in places.items():
            if place:
                self.console.print(f"         [bold]{name:<10}[/bold] {escape(place)}")
