"""One broker and one PostgreSQL for the whole session; topics of its own for each test."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from hypothesis import HealthCheck, settings

from probestream.broker.process import running
from probestream.data import DataFolder
from streams.kafka import KafkaSettings, producer_options
from streams.topics import create_topics
from streams.warm import warm
from tests.kit.broker import Broker
from tests.kit.postgres import Postgres, running_postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from pathlib import Path

# The same examples at every run, however slow the machine: a run fails for what was changed, and for nothing else.
# `pytest --hypothesis-profile=default` looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

# Where everything must run, as in CI, a test that would be skipped fails.
REQUIRE_ALL = bool(os.environ.get("PROBESTREAM_REQUIRE_ALL"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _required(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _required(report)


def _required(report: Any) -> Any:
    if REQUIRE_ALL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"everything must run here (PROBESTREAM_REQUIRE_ALL): {reason}"
    return report


@pytest.fixture(scope="session")
def compiled() -> None:
    """Compiled code ready to be called: the first process after a change compiles it, which takes half a minute."""
    warm()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Iterator[str]:
    """host:port of a real Kafka; PROBESTREAM_TEST_KAFKA names one that runs already."""
    if address := os.environ.get("PROBESTREAM_TEST_KAFKA"):
        yield address
        return
    with running(DataFolder(tmp_path_factory.mktemp("broker"))) as bootstrap:
        yield bootstrap


@pytest_asyncio.fixture
async def kafka(broker: str) -> AsyncIterator[KafkaSettings]:
    """The broker under a prefix of this test's own, with every topic made."""
    settings = KafkaSettings(bootstrap=broker, prefix=f"t{uuid.uuid4().hex[:10]}.", partitions=2)
    await create_topics(settings)
    yield settings


@pytest_asyncio.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that waits for the broker's answers."""
    async with AIOKafkaProducer(**producer_options(kafka, "test")) as started:
        yield started


@pytest_asyncio.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker of the test's own, with every topic made, which it may kill."""
    broker = Broker(tmp_path)
    with broker.data.locked():
        await broker.start()
        try:
            await create_topics(broker.kafka)
            yield broker
        finally:
            broker.kill()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL; a test that stops it starts it again."""
    with running_postgres() as server:
        yield server
