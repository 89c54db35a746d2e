"""The embedded broker's jars: pinned, verified, never half there."""

from __future__ import annotations

import hashlib
import re

import pytest

from probestream.broker import jars
from probestream.broker.jars import BrokerError, Jar, broken, ensure, pinned


def test_every_pinned_jar_has_a_name_and_a_hash_of_its_own():
    """The pin file names each jar once, with a whole SHA-256 and without any address."""
    pins = pinned()
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {p.artifact for p in pins}
    assert all(re.fullmatch(r"[0-9a-f]{64}", p.sha256) for p in pins)
    assert len({p.name for p in pins}) == len(pins)
    assert "://" not in jars.PIN_FILE.read_text("utf-8")


def test_a_missing_and_a_changed_jar_are_both_found(tmp_path):
    """A folder that lacks a jar, or holds it with one byte changed, is not accepted."""
    good, changed, missing = (
        Jar("g", name, "1", hashlib.sha256(name.encode()).hexdigest()) for name in ("good", "changed", "missing")
    )
    (tmp_path / good.name).write_bytes(b"good")
    (tmp_path / changed.name).write_bytes(b"changeD")
    assert broken(tmp_path, [good, changed, missing]) == [changed, missing]


def test_a_corrupt_jar_is_fetched_anew(tmp_path, monkeypatch):
    """One fetch repairs a corrupt jar, and progress is told of it."""
    jar = Jar("g", "a", "1", hashlib.sha256(b"content").hexdigest())
    (tmp_path / jar.name).write_bytes(b"corrupt")
    monkeypatch.setattr(jars, "pinned", lambda: (jar,))
    monkeypatch.setattr(jars, "_download", lambda _, folder: _put(folder, b"content"))
    told = []
    assert ensure(tmp_path, lambda *step: told.append(step)) == [tmp_path / jar.name]
    assert (tmp_path / jar.name).read_bytes() == b"content"
    assert told == [(1, 1, "a-1.jar")]
    assert not list(tmp_path.glob(".fetch-*"))


def test_a_jar_that_comes_with_another_content_is_refused_by_name(tmp_path, monkeypatch):
    """What does not match its pin never lands in the folder, and the message says which jar and what to do."""
    jar = Jar("org.example", "a", "1", hashlib.sha256(b"content").hexdigest())
    monkeypatch.setattr(jars, "pinned", lambda: (jar,))
    monkeypatch.setattr(jars, "_download", lambda _, folder: _put(folder, b"evil"))
    with pytest.raises(BrokerError, match=r"org\.example:a:1.*is pinned[\s\S]*kafka\.bootstrap"):
        ensure(tmp_path)
    assert not (tmp_path / jar.name).exists()


def test_leftovers_of_an_interrupted_fetch_are_cleared_away(tmp_path, monkeypatch):
    """A fetch that was killed leaves nothing behind for ever."""
    jar = Jar("g", "a", "1", hashlib.sha256(b"content").hexdigest())
    (tmp_path / ".fetch-killed").mkdir()
    monkeypatch.setattr(jars, "pinned", lambda: (jar,))
    monkeypatch.setattr(jars, "_download", lambda _, folder: _put(folder, b"content"))
    ensure(tmp_path)
    assert not list(tmp_path.glob(".fetch-*"))


def _put(folder, content):
    folder.mkdir()
    path = folder / "x.jar"
    path.write_bytes(content)
    return path
