"""``probestream silence``: keep alerts quiet for a while."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem, show_table
from probestream.cli.control import ActorOption, Session, accepted, actor_of, run, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.preview import Hits
    from streams.silences import Silence

app = typer.Typer(help="Keep alerts quiet for a while.", no_args_is_help=True)

Matchers = Annotated[
    list[str], typer.Argument(help="Matchers, all of which must pass: 'team=web' 'severity=~\"warning|info\"'.")
]
For = Annotated[str | None, typer.Option("--for", help="How long, such as 2h.", show_default=False)]
Starts = Annotated[str | None, typer.Option("--starts", help="From when on; now without it.", show_default=False)]
Ends = Annotated[
    str | None, typer.Option("--ends", help="Until when, such as 2026-11-21T18:00:00Z.", show_default=False)
]


def body_of(matchers: list[str], for_: str | None, starts: str | None, ends: str | None) -> dict[str, Any]:
    """The record's body. Raises UsageProblem."""
    from streams.instants import instant  # noqa: PLC0415
    from streams.selectors import selector  # noqa: PLC0415
    from streams.units import now_ms, seconds  # noqa: PLC0415

    if (for_ is None) == (ends is None):
        raise UsageProblem("give --for or --ends, one of them")
    try:
        begin = instant(starts) if starts is not None else now_ms()
        until = instant(ends) if ends is not None else begin + seconds(for_) * 1000.0
        parsed = [m for text in matchers for m in selector(text)]
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    return {"matchers": parsed, "starts": begin, "ends": until}


@app.command("add")
def add(
    matchers: Matchers,
    for_: For = None,
    starts: Starts = None,
    ends: Ends = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why.", show_default=False)] = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Silence what passes every matcher; prints the id and what is hit."""
    who = actor_of(actor)
    body = {**body_of(matchers, for_, starts, ends), "author": who, "comment": comment}
    key = uuid.uuid4().hex

    async def work(session: Session) -> None:
        done = accepted(await session.client.change("silence", key, body, 0, who))
        tell(done, f"silence {key} added, {_when(body)}", as_json)
        if not as_json:
            await _show_hits(session, session.client.controls.value("silence", key))

    run(config, data, work)


@app.command("preview")
def preview(
    matchers: Matchers, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show the active alerts, and the targets with their rules, that a silence would hit."""
    from streams.control_bodies import parse_body  # noqa: PLC0415

    async def work(session: Session) -> None:
        silence: Silence = parse_body("silence", "preview", body_of(matchers, "1h", None, None))
        await session.client.refresh()
        await _show_hits(session, silence, as_json)

    run(config, data, work)


async def _show_hits(session: Session, silence: Silence, as_json: bool = False) -> None:
    await show_hits(session, lambda _, labels: silence.hits(labels), as_json, silence.matchers)


def _when(body: dict[str, Any]) -> str:
    """From when on and until when, as the record will have it."""
    from streams.instants import iso  # noqa: PLC0415
    from streams.units import human, now_ms  # noqa: PLC0415

    begins = f"from {iso(body['starts'])} " if body["starts"] > now_ms() else ""
    return f"{begins}until {iso(body['ends'])}: for {human(round((body['ends'] - body['starts']) / 1000.0))}"


async def show_hits(session: Session, hits: Hits, as_json: bool = False, matchers: Sequence[str] = ()) -> None:
    """Print what `hits` holds for; where that is nothing, which of the `matchers` is to blame."""
    from agents.probe.settings import face_of  # noqa: PLC0415
    from probestream.cli.active import active_alerts  # noqa: PLC0415
    from streams.labels import unpassed  # noqa: PLC0415
    from streams.preview import alert_labels  # noqa: PLC0415
    from streams.preview import preview as found_by  # noqa: PLC0415

    alerts = [a for a in await active_alerts(session.kafka) if hits(a.target, {"target": a.target, **a.labels})]
    controls = session.client.controls
    there = list(controls.laid_over("target", {t.name: face_of(t) for t in session.config.targets}).values())
    rules = controls.rules(session.config.rules)
    targets = found_by(hits, there, rules)
    if as_json:
        plain = [
            {"id": a.id, "rule": a.rule, "target": a.target, "severity": a.severity, "state": a.state} for a in alerts
        ]
        typer.echo(json.dumps({"alerts": plain, "targets": targets}, indent=2))
        return
    typer.echo(f"{len(alerts)} active alert{'' if len(alerts) == 1 else 's'}")
    for alert in alerts[:50]:
        typer.echo(f"  {alert.severity:8} {alert.rule} on {alert.target}  {alert.state}  {alert.id}")
    count = sum(map(len, targets.values()))
    typer.echo(f"{len(targets)} of {len(there)} targets, with {count} rules about them")
    for name, about in list(targets.items())[:50]:
        typer.echo(f"  {name}: {', '.join(about)}")
    if not targets and not alerts:
        labels = [alert_labels(rule, target.all_labels) for target in there for rule in rules]
        why = unpassed(matchers, labels) if labels else ""
        typer.echo(f"  nothing: {why or 'no alert can have all of these labels'}")


@app.command("list")
def listing(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List silences, the last to end first."""
    from streams.units import now_ms  # noqa: PLC0415

    async def work(session: Session) -> list[dict[str, Any]]:
        controls = await session.client.refresh()
        held = sorted(controls.overlaid("silence", session.config.silences).items(), key=lambda i: -i[1].ends)
        return [s.described(key, controls.version("silence", key), now) for key, s in held]

    now = now_ms()
    rows = [row for row in run(config, data, work) if everything or row["state"] != "expired"]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ("id", "state", "matchers", "starts", "ends", "author", "comment")
    texts = ({**row, "matchers": ", ".join(row["matchers"])} for row in rows)
    show_table(columns, ([row[c] for c in columns] for row in texts), whole=("id",))


@app.command("expire")
def expire(
    ids: Annotated[list[str], typer.Argument(help="Ids, or how they begin.")],
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """End silences now; what still fires is told."""
    from streams.control_client import Edit  # noqa: PLC0415
    from streams.silences import expired  # noqa: PLC0415
    from streams.units import now_ms  # noqa: PLC0415

    async def work(session: Session) -> None:
        controls = await session.client.refresh()
        held = controls.overlaid("silence", session.config.silences)
        now = now_ms()
        edits = []
        for wanted in ids:
            found = [k for k in held if k == wanted] or [k for k in held if k.startswith(wanted)]
            if len(found) != 1:
                raise Failure(f"{len(found) or 'no'} silences begin with {wanted!r}; `probestream silence list`")
            edits.append(Edit("silence", found[0], expired(held[found[0]], now), note="expired"))
        done = await session.client.change_all(edits, actor_of(actor))
        over = {key for key, silence in held.items() if silence.ends <= now}
        for one in done if isinstance(done, list) else [accepted(done)]:
            already = "was over already" if one.record.id in over else "is over"
            tell(one, f"silence {one.record.id} {already}", as_json=False)

    run(config, data, work)
