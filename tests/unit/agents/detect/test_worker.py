"""Bundles of records in a worker's hands."""

from __future__ import annotations

import types
import weakref

import pytest

from agents.detect.settings import DetectSettings
from agents.detect.worker import Worker
from schemas import encode
from streams.kafka import KafkaSettings
from streams.recovery import Bundle
from tests.kit.fetches import fetch, written
from tests.kit.folding import START, batch

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]


async def test_what_was_fetched_is_let_go_of_once_it_is_folded():
    """An event waits for the commit without the bytes that came with it."""
    settings = DetectSettings(unknown_targets="accept")
    worker = Worker(KafkaSettings(bootstrap="127.0.0.1:1", partitions=1), settings, (), ())
    worker.folds = {0: worker._empty(0)}
    one = encode(batch(("a", START, True, 1.0)))
    (found,) = fetch(written([(None, one, [], 0)] * 3))
    bytes_of = weakref.ref(found.data)
    event = types.SimpleNamespace(message=Bundle("samples", 0, found.offset, found.timestamp, 0, [found]))
    del found
    await worker.take(event)
    assert worker.progress() == {0: 2}
    assert worker._events == [event]
    assert bytes_of() is None
