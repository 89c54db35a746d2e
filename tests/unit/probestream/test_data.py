"""The data folder and its lock."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from probestream.data import DataError, DataFolder


def test_a_second_program_is_kept_out_and_told_by_whom(tmp_path):
    """The message names the process that holds the folder, and what to do."""
    data = DataFolder(tmp_path)
    code = (
        "import sys; from pathlib import Path; from probestream.data import DataFolder\n"
        "with DataFolder(Path(sys.argv[1])).locked(): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "in\n"
        assert data.holder() == other.pid
        with pytest.raises(DataError, match=rf"process {other.pid}.*--data DIR"), data.locked():
            pass
        other.kill()
        other.wait()
    assert data.holder() is None
    with data.locked():
        assert data.holder() == os.getpid()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    """Where a file is in the way, the message names the path and the option."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"file/data cannot be made.*PROBESTREAM_DATA"),
        DataFolder(tmp_path / "file" / "data").locked(),
    ):
        pass


def test_the_folder_is_for_its_owner_only(tmp_path):
    """Other users of the machine cannot read what is kept."""
    data = DataFolder(tmp_path / "new")
    data.make()
    assert data.path.stat().st_mode & 0o077 == 0
