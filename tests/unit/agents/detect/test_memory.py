"""What is freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agents.detect.memory import return_what_is_freed

_GROW = """
import numpy as np, psutil
from agents.detect.memory import return_what_is_freed
return_what_is_freed()
def resident(): return psutil.Process().memory_info().rss
np.ones(30 << 17)  # glibc takes what is smaller than this from its heap, once it was freed
before, kept = resident(), []
for _ in range(5):
    large = [np.ones(8 << 17) for _ in range(4)]
    kept.append(bytes(100_000))  # lies behind them, where there is one heap
    del large
print(resident() - before)
"""


def test_large_arrays_are_given_back():
    """After arrays of 32 MiB in all came and went five times, the process is hardly larger than before."""
    if not return_what_is_freed():
        pytest.skip("a C library without mallopt")
    grown = subprocess.run([sys.executable, "-c", _GROW], capture_output=True, text=True, check=True, timeout=60)
    assert int(grown.stdout) < 8 << 20
