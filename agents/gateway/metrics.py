"""Prometheus metrics, read from the view when they are asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from agents.gateway.context import Gateway

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _View(Collector):
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def collect(self) -> Iterable[Metric]:
        yield from self._targets()
        yield from self._alerts()
        yield from self._deliveries()
        yield from self._gateway()

    def _targets(self) -> Iterable[Metric]:
        names = ["target", "platform", "kind"]
        up = GaugeMetricFamily("probestream_target_up", "1 where the latest check succeeded, else 0", labels=names)
        latency = GaugeMetricFamily("probestream_target_latency_ms", "Latest response time, ms", labels=names)
        errors = GaugeMetricFamily("probestream_target_error_rate", "Failed share over five minutes", labels=names)
        age = GaugeMetricFamily("probestream_target_check_age_seconds", "Time since the latest check", labels=names)
        now, present = self.gateway.now(), self.gateway.present
        for name in present.names(now):
            target = present.target(name, now)
            if target["ok"] is None:
                continue
            values = [name, target["platform"], target["kind"]]
            up.add_metric(values, 1.0 if target["ok"] and target["status"] != "unknown" else 0.0)
            errors.add_metric(values, target["error_rate"])
            age.add_metric(values, max(0.0, now - self.gateway.view.health[name].health.time) / 1000.0)
            if target["latency_ms"] is not None:
                latency.add_metric(values, target["latency_ms"])
        return up, latency, errors, age

    def _alerts(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("probestream_alerts", "Active alerts", labels=["state", "severity"])
        active = (a for alerts in self.gateway.view.alerts.all_active() for a in alerts)
        for (state, severity), count in sorted(Counter((a.state, a.severity) for a in active).items()):
            family.add_metric([state, severity], count)
        yield family

    def _deliveries(self) -> Iterable[Metric]:
        view = self.gateway.view
        told = CounterMetricFamily(
            "probestream_notifications",
            "Steps of deliveries since the gateway started reading",
            labels=["channel", "outcome"],
        )
        for key, count in sorted(view.deliveries.counts.items()):
            told.add_metric(list(key), count)
        yield told
        yield CounterMetricFamily(
            "probestream_notification_repeats", "Deliveries that may have come twice", value=view.deliveries.repeats
        )
        letters = CounterMetricFamily("probestream_dead_letters", "Messages no hop could use", labels=["hop", "reason"])
        for key, count in sorted(view.dead_letters.counts.items()):
            letters.add_metric(list(key), count)
        yield letters

    def _gateway(self) -> Iterable[Metric]:
        hub, tail = self.gateway.hub, self.gateway.tail
        yield GaugeMetricFamily("probestream_websocket_clients", "Live connections", value=len(hub.clients))
        yield CounterMetricFamily("probestream_websocket_messages", "Messages sent", value=hub.messages_sent)
        dropped = CounterMetricFamily("probestream_websocket_dropped", "Connections let go", labels=["why"])
        for why, count in (("slow", hub.dropped_slow), ("silent", hub.dropped_silent), ("rejected", hub.rejected)):
            dropped.add_metric([why], count)
        yield dropped
        lag = GaugeMetricFamily("probestream_view_lag_records", "Records not yet in the view", labels=["topic"])
        for topic, count in sorted(tail.lag().items()):
            lag.add_metric([topic], count)
        yield lag
        undecodable = CounterMetricFamily("probestream_view_undecodable", "Records that are no Avro", labels=["topic"])
        for topic, count in sorted(self.gateway.view.undecodable.items()):
            undecodable.add_metric([topic], count)
        yield undecodable
        yield GaugeMetricFamily("probestream_kafka_connected", "1 while Kafka is read", value=float(tail.connected))
        yield GaugeMetricFamily(
            "probestream_view_ready", "1 once the log was caught up", value=float(self.gateway.view.ready)
        )


def exposition(gateway: Gateway) -> bytes:
    """All metrics in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_View(gateway))
    return generate_latest(registry)
