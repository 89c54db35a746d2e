"""What the notify role counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

OUTCOMES = Counter(
    "probestream_notify_outcomes_total", "Steps of deliveries, by outcome and reason.", ["channel", "outcome", "reason"]
)
REPEATS = Counter(
    "probestream_notify_repeats_total",
    "Attempts that the receiver may already have had: the counted window.",
    ["channel"],
)
SECONDS = Histogram(
    "probestream_notify_send_seconds",
    "Time from reading a transition to the receiver's answer, for deliveries that needed one attempt.",
    ["channel"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
UNFINISHED = Gauge(
    "probestream_notify_unfinished", "Transitions read and not yet dealt with.", ["channel", "partition"]
)
RESTARTS = Counter("probestream_notify_channel_restarts_total", "Restarts of a channel after an error.", ["channel"])
