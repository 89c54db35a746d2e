"""Targets over time by the REST API, from memory and from the SQL history, over real Kafka."""

from __future__ import annotations

from typing import Any

import pytest

from agents.gateway import models
from agents.history.app import run as history_run
from agents.history.settings import StorageSettings
from schemas import Rollup
from streams.kafka import KafkaSettings
from streams.units import now_ms
from tests.kit.gateway import gateway
from tests.kit.records import rollup, writer
from tests.kit.role import running, until


async def test_series_come_from_memory_and_from_sql(kafka: KafkaSettings, tmp_path) -> None:
    """The last hour is answered from the topic, more from the history; later panes replace earlier ones."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    now = now_ms()
    pane = now // 10_000 * 10_000
    async with writer(kafka) as w, gateway(kafka, url=url) as g:
        assert (await g.get("/api/targets/shop/series?minutes=600"))["source"] == "none"
        await w.write(rollup(pane - 10_000, {"shop": (1, 0, 10), "api": (1, 0, 10)}))
        await w.write(rollup(pane - 10_000, {"shop": (4, 1, 90), "api": (4, 0, 80)}))
        await w.write(rollup(pane, {"shop": (1, 1, 0), "api": (4, 0, 80)}))
        await w.write(rollup(pane - 7_200_000, {"shop": (10, 5, 50)}))

        async def two_points() -> Any:
            answer = await g.get("/api/targets/shop/series?minutes=60")
            return answer if len(answer["points"]) == 2 and answer["points"][0]["count"] == 4 else None

        answer = await until(two_points)
        models.Series.model_validate(answer)
        assert (answer["source"], answer["step_s"]) == ("memory", 10.0)
        first, second = answer["points"]
        assert (first["errors"], first["error_rate"], first["latency_ms"]) == (
            1,
            0.25,
            {"mean": 30, "min": 1, "max": 100},
        )
        assert second["latency_ms"] is None
        joined = await g.get("/api/targets/shop/series?minutes=60&step_s=3600")
        assert sum(p["count"] for p in joined["points"]) == 5
        async with running(history_run, kafka=kafka, settings=StorageSettings(), url=url):
            longer = await g.series("shop/series?minutes=600", 15)
            assert longer["source"] == "history"
            up = await g.get("/api/targets/shop/uptime?hours=24")
            models.UptimeAnswer.model_validate(up)
            assert (up["count"], up["uptime"]) == (15, pytest.approx(1 - 7 / 15))
            # Long spans have steps that are whole panes of the history's long ones.
            for minutes in (1440, 2880, 10_080, 50_400):
                found = await g.get(f"/api/targets/shop/series?minutes={minutes}")
                assert found["step_s"] < 300 or found["step_s"] % 300 == 0, found["step_s"]
                assert minutes * 60 / found["step_s"] <= 400
        assert (await g.get("/api/targets/shop/uptime?hours=1"))["count"] == 5
        await g.get("/api/targets/nope/series", 404)
        await g.get("/api/targets/shop/series?minutes=nan", 422)


async def test_a_metric_over_time_from_memory_and_from_sql(kafka: KafkaSettings, tmp_path) -> None:
    """Asked for a metric, each point has its value beside the checks; null where it was not measured."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    pane = now_ms() // 10_000 * 10_000

    def host(start: float, cpu: float) -> Rollup:
        made = rollup(start, {"shop": (2, 1, 10)})
        made.target, made.metric = ["shop", "shop"], ["", "cpu.used_percent"]
        for name, value in {
            "count": 2,
            "errors": 0,
            "value_count": 2,
            "value_sum": 2 * cpu,
            "value_min": cpu - 1,
            "value_max": cpu + 1,
        }.items():
            getattr(made, name).append(value)
        return made

    lonely = rollup(pane - 30_000, {"shop": (1, 0, 7)}, metric=["cpu.used_percent"])
    async with writer(kafka) as w, gateway(kafka, url=url) as g:
        await w.write(
            host(pane - 7_200_000, 11), lonely, rollup(pane - 20_000, {"shop": (4, 1, 90)}), host(pane - 10_000, 40)
        )

        async def three() -> Any:
            found = await g.get("/api/targets/shop/series?minutes=60&metric=cpu.used_percent")
            return found if len(found["points"]) == 3 else None

        answer = await until(three)
        models.Series.model_validate(answer)
        assert (answer["metric"], answer["source"]) == ("cpu.used_percent", "memory")
        seen = [
            (p["count"], p["error_rate"], p["latency_ms"] and p["latency_ms"]["mean"], p["value"])
            for p in answer["points"]
        ]
        assert seen == [
            (0, None, None, {"mean": 7, "min": 1, "max": 100}),
            (4, 0.25, 30, None),
            (2, 0.5, 10, {"mean": 40, "min": 39, "max": 41}),
        ]
        plain = await g.get("/api/targets/shop/series?minutes=60")
        assert "metric" not in plain
        assert all("value" not in p for p in plain["points"])
        none = await g.get("/api/targets/shop/series?minutes=60&metric=nope")
        assert [p["value"] for p in none["points"]] == [None, None]
        async with running(history_run, kafka=kafka, settings=StorageSettings(), url=url):
            longer = await g.series("shop/series?minutes=600&step_s=600&metric=cpu.used_percent", 8)
            assert longer["source"] == "history"
            assert longer["points"][0]["value"] == {"mean": 11, "min": 10, "max": 12}
            assert sum(p["value"] is not None for p in longer["points"]) in (2, 3)
        await g.get("/api/targets/shop/series?metric=" + "x" * 300, 422)
