"""What is compiled before samples come: all of it."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_is_left_to_compile_once_samples_come():
    """After `warm`, nothing that detection does compiles another function, or one for other types of arguments."""
    # Its own process: here, other tests have had things compiled.
    done = subprocess.run(
        [sys.executable, "-m", "tests.kit.compiling"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == []
