"""What a group of commands has for the kind of record it changes: ``set`` and ``delete``."""

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
    accepted,
    actor_of,
    read_mapping,
    run,
    tell,
)

if TYPE_CHECKING:
    from streams.control import Controls


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record on the control topic, the word for it, and the fields of a body that may name it."""

    kind: str
    noun: str
    named_by: tuple[str, ...] = ("name",)


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
        body = read_mapping(file)
        name = next((body[field] for field in what.named_by if field in body), None)
        if not isinstance(name, str) or not name:
            raise UsageProblem(f"{file}: name: is required")

        async def work(session: Session) -> None:
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
        name: Annotated[str, typer.Argument(help=name_help)],
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
