"""Children's output: all of it in files of bounded size, the lines that matter on the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from probestream.supervisor.logs import Limit, LogFile, matters, pump


def test_a_log_file_is_cut_and_two_older_ones_are_kept(tmp_path):
    """A role that logs for ever fills no disk."""
    log = LogFile(tmp_path / "role.log", max_bytes=20)
    for i in range(20):
        log.write(b"line %02d......" % i)
    log.close()
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["role.log", "role.log.1", "role.log.2"]
    assert (tmp_path / "role.log").read_bytes().endswith(b"line 19......\n")
    assert all(p.stat().st_size <= 40 for p in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"2026-11-21 12:00:00,123 WARNING  probestream.notify: no receiver", True),
        (b"2026-11-21 12:00:00,123 ERROR    probestream.run: role probe failed", True),
        (b"2026-11-21 12:00:00,123 INFO     probestream.run: ready", False),
        (b"2026-11-21 12:00:00,123 ERROR    aiokafka: Unable connect", False),
        (b"Traceback (most recent call last):", False),
        (b"", False),
    ],
)
def test_only_our_warnings_and_errors_are_shown(line, shown):
    """The terminal is for what a person should know; the log file has everything."""
    assert matters(line) is shown


def test_a_flood_is_held_back_and_counted():
    """Five lines in ten seconds pass, the rest is counted, and then it starts anew."""
    limit = Limit(most=5, per_s=10)
    assert [limit.allow(t / 10) for t in range(8)] == [True] * 5 + [False] * 3
    assert limit.held == 3
    assert limit.allow(10.0)
    assert limit.held == 0


async def test_lines_come_whole_whatever_the_chunks():
    """Lines split over reads are joined, a last line without an end is kept, an endless one comes in pieces."""
    reader = asyncio.StreamReader()
    for chunk in (b"one\ntw", b"o\r\nthr", b"ee"):
        reader.feed_data(chunk)
    reader.feed_eof()
    lines: list[bytes] = []
    await pump(reader, lines.append)
    assert lines == [b"one", b"two", b"three"]

    endless = asyncio.StreamReader()
    endless.feed_data(b"x" * 200_000)
    endless.feed_eof()
    pieces: list[bytes] = []
    await pump(endless, pieces.append)
    assert b"".join(pieces) == b"x" * 200_000
    assert len(pieces) > 1


def test_a_full_disk_loses_lines_and_nothing_else():
    """A role that logs goes on working where its log cannot be written."""
    log = LogFile(Path("/dev/full"))
    for _ in range(3):
        log.write(b"lost")
    log.close()
