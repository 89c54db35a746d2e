"""``probestream probe``: one check by hand."""

from __future__ import annotations

import typer


def probe(url: str) -> None:
    """Check an address once."""
    raise typer.Exit(2)
