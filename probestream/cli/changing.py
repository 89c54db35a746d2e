"""What a group of commands has for the kind of record it changes: ``set``, ``delete``, ``history``, ``rollback``."""

# Annotations are values here: the texts that typer reads from them name the kind.
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem
from probestream.cli.control import (
    ActorOption,
    ExpectedOption,
    NoteOption,
    Session,
    Written,
    accepted,
    actor_of,
    run,
    show_changes,
    tell,
)

if TYPE_CHECKING:
    from streams.control import Controls


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record on the control topic, the word for it, and the fields of a body that may name it.

    `single` is the id of a kind of which there is one.
    """

    kind: str
    noun: str
    named_by: tuple[str, ...] = ("name",)
    single: str = ""


def add_set(app: typer.Typer, what: Kind, promise: str) -> None:
    """Give a group the command that makes or replaces a record from a file."""
    file_help = f"YAML or JSON file with one {what.noun}; - for standard input."

    @app.command("set", help=promise)
    def set_(
        file: Annotated[str, typer.Argument(help=file_help)],
        expected: ExpectedOption = None,
        note: NoteOption = "",
        actor: ActorOption = "",
        config: ConfigOption = None,
        data: DataOption = None,
        as_json: JsonOption = False,
    ) -> None:
        written = Written(file)
        body = written.body
        name = what.single or next((body[field] for field in what.named_by if field in body), None)
        if not isinstance(name, str) or not name:
            whole = next((section for section in body if isinstance(body[section], list) and "name" not in body), None)
            alone = f"; one {what.noun} alone is wanted, not a list in {whole}" if whole else ""
            raise UsageProblem(written.problem("name", f"is required, a text{alone}"))

        async def work(session: Session) -> None:
            with written.blamed(what.kind):
                done = await session.client.change(what.kind, name, body, expected, actor_of(actor), note=note)
            tell(accepted(done), f"{what.noun} {name} set", as_json)

        run(config, data, work)


def add_delete(
    app: typer.Typer,
    what: Kind,
    promise: str,
    held: "Callable[[Session, Controls], Collection[str]] | None" = None,
) -> None:
    """Give a group the command that takes a record out, which must be one of those `held` where that is given."""
    name_help = f"The {what.noun}'s name."

    @app.command("delete", help=promise)
    def delete(
        name: Annotated[str, typer.Argument(help=name_help)] = what.single or ...,  # type: ignore[assignment]
        expected: ExpectedOption = None,
        note: NoteOption = "",
        actor: ActorOption = "",
        config: ConfigOption = None,
        data: DataOption = None,
        as_json: JsonOption = False,
    ) -> None:
        async def work(session: Session) -> None:
            if held is not None:
                there = held(session, await session.client.refresh())
                if name not in there:
                    names = ", ".join(sorted(there)) or "none"
                    raise Failure(f"no {what.noun} is named {name!r}; there are: {names}")
            done = await session.client.change(what.kind, name, None, expected, actor_of(actor), note=note)
            tell(accepted(done), f"{what.noun} {name} taken out", as_json)

        run(config, data, work)


def add_history(app: typer.Typer, what: Kind) -> None:
    """Give a group the command that shows the versions of a record."""

    @app.command("history", help=f"Show who changed one {what.noun}, when, from what to what.")
    def history(
        name: Annotated[str, typer.Argument(help=f"The {what.noun}'s name.")] = what.single or ...,  # type: ignore[assignment]
        config: ConfigOption = None,
        data: DataOption = None,
        as_json: JsonOption = False,
    ) -> None:
        async def work(session: Session) -> None:
            from streams.refusals import meant  # noqa: PLC0415

            controls = await session.client.refresh()
            changes = controls.history(what.kind, name)
            if not changes:
                known = {change.id for change in controls.audit() if change.kind == what.kind and change.version}
                raise Failure(f"{what.noun} {name!r} was never changed at run time{meant(name, known)}")
            show_changes(changes, as_json)

        run(config, data, work)


def add_rollback(app: typer.Typer, what: Kind) -> None:
    """Give a group the command that goes back to an earlier version of a record."""
    promise = f"Make an earlier version of one {what.noun} the latest once more."

    def roll_back(
        name: Annotated[str, typer.Argument(help=f"The {what.noun}'s name.")],
        version: Annotated[int, typer.Argument(min=1, help="The version to go back to.")],
        expected: ExpectedOption = None,
        actor: ActorOption = "",
        config: ConfigOption = None,
        data: DataOption = None,
        as_json: JsonOption = False,
    ) -> None:
        async def work(session: Session) -> None:
            done = await session.client.roll_back(what.kind, name, version, expected, actor_of(actor))
            tell(accepted(done), f"{what.noun} {name} is as in version {version}", as_json)

        run(config, data, work)

    def roll_back_the_one(
        context: typer.Context,
        version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to go back to.")],
        expected: ExpectedOption = None,
        actor: ActorOption = "",
        config: ConfigOption = None,
        data: DataOption = None,
        as_json: JsonOption = False,
    ) -> None:
        number = _version_of([version, *context.args], what.single)
        roll_back(what.single, number, expected, actor, config, data, as_json)

    if what.single:
        app.command("rollback", help=promise, context_settings={"allow_extra_args": True})(roll_back_the_one)
    else:
        app.command("rollback", help=promise)(roll_back)


def _version_of(words: list[str], single: str) -> int:
    """The number in ``3``, and in ``all 3`` where `single`, the only id there is, is ``all``."""
    number = words[-1]
    if words[:-1] not in ([], [single]) or not number.isdecimal() or int(number) < 1:
        raise typer.BadParameter("a version is a number from 1", param_hint="VERSION")
    return int(number)
