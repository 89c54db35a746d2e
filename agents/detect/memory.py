"""Memory that is given up goes back to the system."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3  # of malloc.h
_BYTES = 4 << 20


def return_what_is_freed() -> bool:
    """Have arrays of 4 MiB and more be mappings of their own; whether the C library can do that.

    glibc does so at first, but from the first large array that is freed on it takes ever larger ones from a heap that
    seldom shrinks: a partition that grows to 100,000 targets keeps a third more than it needs. And an array of zeros
    from a used heap is memory at once, where a fresh mapping is none until it is written to.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _BYTES))
    except (AttributeError, OSError, TypeError):  # another C library
        return False
