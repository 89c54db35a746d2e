"""The decorators of compiled functions, and where the compiled code is kept.

Code is compiled at its first use and kept on disk. numba knows a kept function by the path and time of its own file
alone, not by the files of the functions it calls; here it is known by the text of every file of this package. A
change in any of them compiles all anew, and two installations of the same text share what was compiled.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba
from numba.core.caching import UserProvidedCacheLocator

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def _text() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


_TEXT = _text()


class ByText(UserProvidedCacheLocator):
    """Keeps compiled functions in a folder named after the text of this package."""

    def get_source_stamp(self) -> str:
        return _TEXT

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:  # noqa: ARG003 - the method's own form
        return f"kernel-{_TEXT}"


def _folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(base) / "probestream" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    # No home to write to (a read-only container): the process compiles for itself.
    return str(folder) if writable else tempfile.mkdtemp(prefix="probestream-compiled-")


_config: Any = numba.config  # its entries are made as it is read, so that no stub has them
if not _config.CACHE_DIR:  # NUMBA_CACHE_DIR
    _config.CACHE_DIR = _folder()
_config.CACHE_LOCATOR_CLASSES = f"{__name__}.{ByText.__name__}"

_compile: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


def njit(function: F) -> F:
    """Compile `function` at its first call: division by zero gives inf or NaN as in numpy, other threads go on."""
    compiled: F = _compile(function)
    return compiled


# `_nrt` is in numba since 0.36 and in no stub: without reference counts there is nothing that could make an array.
_LEAN: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
_compile_lean: Any = numba.njit(**_LEAN)


def lean(function: F) -> F:
    """As `njit`, for a function that makes and returns no array: references to arrays are not counted.

    Counting costs a few ns for each array at each call of a compiled function by another: more than small ones do. The
    caller holds the arrays for as long as the call lasts. A slice of an argument is fine, as long as it stays inside.
    """
    compiled: F = _compile_lean(function)
    return compiled


_compile_inlined: Any = numba.njit(**_LEAN, forceinline=True)


def inlined(function: F) -> F:
    """As `lean`, for what is put into its caller: handing over a state of forty arrays costs more than it does."""
    compiled: F = _compile_inlined(function)
    return compiled
