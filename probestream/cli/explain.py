"""``probestream explain``: why somebody was, or was not, told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem
from probestream.cli.control import Session, run

if TYPE_CHECKING:
    from streams.explain.model import AlertStory, TargetStory


def explain(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="ALERT|TARGET[@TIME]",
            help="An alert's id, or how it begins; or a target, now or at a time: now, -10m, 03:12 (UTC), "
            "2026-11-21T03:12:00Z, seconds since 1970.",
        ),
    ],
    at: Annotated[str | None, typer.Option("--at", help="The time, apart from the target.", show_default=False)] = None,
    limit: Annotated[float, typer.Option("--limit", min=1, help="Seconds that reading the log may take.")] = 60.0,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why was I, or was I not, told? The values, decisions and deliveries behind an alert, or behind silence."""
    from streams.explain import text  # noqa: PLC0415 - as everywhere here: what a command needs, when it runs
    from streams.explain.when import moment, split  # noqa: PLC0415
    from streams.units import now_ms  # noqa: PLC0415

    now = now_ms()
    name, time = (subject, at) if at is not None else split(subject)
    try:
        when = moment(time, now) if time is not None else None
    except ValueError as error:
        raise UsageProblem(f"the time of {name}: {error}") from error

    async def work(session: Session) -> AlertStory | TargetStory:
        return await _ask(session, name, when, now, limit)

    story = run(config, data, work)
    typer.echo(json.dumps(text.as_json(story), indent=2, ensure_ascii=False) if as_json else text.in_words(story))


async def _ask(session: Session, name: str, when: float | None, now: float, limit: float) -> AlertStory | TargetStory:
    from probestream.explaining import setup_of  # noqa: PLC0415
    from streams.explain import ask  # noqa: PLC0415
    from streams.explain.log import Log  # noqa: PLC0415

    setup = setup_of(session.config)
    if when is not None or not ask.is_id(name):
        await ask.prepare()
    try:
        async with asyncio.timeout(limit), Log(session.kafka) as log:
            controls = await session.client.refresh()
            if when is None:
                return await ask.explain(log, controls, setup, name, now)
            return await ask.explain_target(log, controls, setup, name, when)
    except ask.UnknownError as error:
        # What follows an @ was no time, and so it was taken for a part of the name.
        time = "\nif a time was meant: @now, @-10m, @03:12 (UTC) or @2026-11-21T03:12:00Z" if "@" in name else ""
        raise Failure(f"{error}{time}") from error
    except TimeoutError as error:
        raise Failure(
            f"the log could not be read in {limit:g} s; allow more with --limit, or ask about a later time"
        ) from error
