"""The page: files that a browser may keep, if it asks each time whether they are still the same."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    import os

    from starlette.responses import Response
    from starlette.types import Scope

FOLDER = Path(__file__).resolve().parent.parent / "page"
# A system's own table may say otherwise, and nosniff makes browsers obey it.
for _type, _suffix in (
    ("text/javascript", ".js"), ("text/css", ".css"), ("image/svg+xml", ".svg"), ("font/woff2", ".woff2"),
    ("application/manifest+json", ".webmanifest"),
):  # fmt: skip
    mimetypes.add_type(_type, _suffix)


class Page(StaticFiles):
    """The files of the page's folder, index.html at the root."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, html=True, check_dir=False)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = "no-cache"
        return response


def is_page(path: str) -> bool:
    """Whether a path is one of the page's own files, which hold nothing that needs a token."""
    if path == "/":
        return True
    file = (FOLDER / path.lstrip("/")).resolve()
    return file.is_relative_to(FOLDER) and file.is_file()
