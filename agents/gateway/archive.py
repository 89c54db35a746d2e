"""Reads the SQL history, where there is one. The gateway works without it: only the far past is missing then."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from streams.history import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

_log = logging.getLogger("probestream.gateway")
P = ParamSpec("P")
T = TypeVar("T")


class Archive:
    """The history at `url`; the empty string means none."""

    def __init__(self, url: str) -> None:
        self.engine: Engine | None = connect(url) if url else None
        self._told = False

    async def ask(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `query` finds, asked in a thread; None where there is no history or it does not answer."""
        engine = self.engine
        if engine is None or not _exists(engine):
            return None

        def asking() -> T:
            with engine.connect() as connection:
                return query(connection, *args, **kwargs)

        try:
            found = await asyncio.to_thread(asking)
        except Exception as error:  # whatever SQL raises: the answer is then made from memory
            if not self._told:
                _log.warning("the SQL history does not answer: %s", getattr(error, "orig", error))
            self._told = True
            return None
        self._told = False
        return found

    async def close(self) -> None:
        """Let the connections go."""
        if self.engine is not None:
            await asyncio.to_thread(self.engine.dispose)


def _exists(engine: Engine) -> bool:
    """Whether there is a database: opening SQLite would make an empty one in the history role's place."""
    file = engine.url.database
    return engine.dialect.name != "sqlite" or (file is not None and Path(file).exists())
