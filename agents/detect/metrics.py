"""What the detect role shows of itself, for Prometheus; docs/self-watch.md says what each number tells."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from streams.kernel import state
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

    from streams.fold import Fold

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
RECORDS = Counter("probestream_detect_records_total", "Records folded.")
SAMPLES = Counter("probestream_detect_samples_total", "Samples folded, also those that were refused or a duplicate.")
BYTES = Counter("probestream_detect_bytes_total", "Bytes of the records folded.")
REFUSED = Counter(
    "probestream_detect_refused_samples_total", "Samples refused, a record as one, by reason.", ["reason"]
)
FINDINGS = Counter("probestream_detect_findings_total", "Findings told: rules that began or ceased to hold.", ["holds"])
COMMITS = Counter("probestream_detect_commits_total", "Commits of the state.")
COMMIT_SECONDS = Histogram("probestream_detect_commit_seconds", "Time a commit took, all in all.", buckets=_SECONDS)
COMMIT_HELD = Histogram(
    "probestream_detect_commit_held_seconds",
    "Time for which a commit kept samples waiting, by partition.",
    buckets=_SECONDS,
)
STATE_BYTES = Counter("probestream_detect_state_bytes_total", "Bytes of state written.")
REBALANCES = Counter("probestream_detect_rebalances_total", "How often partitions were taken away to be shared anew.")
RESTORES = Histogram("probestream_detect_restore_seconds", "Time to take over the state.", buckets=(*_SECONDS, 60, 120))


class Progress(Collector):
    """What is read from the folds at the time it is asked for; one worker a process."""

    def __init__(self) -> None:
        self.folds: Mapping[int, Fold] = {}
        self.committed = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        """Gauges by partition; a partition that was given up has none."""
        by = ["partition"]
        clock = GaugeMetricFamily(
            "probestream_detect_watermark_seconds", "Time of the broker's up to which samples are folded.", labels=by
        )
        behind = GaugeMetricFamily(
            "probestream_detect_watermark_age_seconds", "How far that is behind this machine's clock.", labels=by
        )
        targets = GaugeMetricFamily("probestream_detect_targets", "Targets held.", labels=by)
        rows = GaugeMetricFamily("probestream_detect_series", "Series held: targets and their metrics.", labels=by)
        twice = CounterMetricFamily("probestream_detect_duplicates", "Samples that had come before.", labels=by)
        late = CounterMetricFamily(
            "probestream_detect_late", "Samples that came after their pane of ten seconds was over.", labels=by
        )
        now = now_ms()
        for partition, fold in sorted(self.folds.items()):
            cells, labels = fold.state.clock, [str(partition)]
            if cells[state.NOW]:
                clock.add_metric(labels, cells[state.NOW] / 1000)
                behind.add_metric(labels, max(0.0, now - cells[state.NOW]) / 1000)
            targets.add_metric(labels, fold.targets)
            rows.add_metric(labels, float(cells[state.ROWS] - cells[state.FREE_ROWS]))
            twice.add_metric(labels, float(cells[state.DUPLICATES]))
            late.add_metric(labels, float(cells[state.LATE_PANES]))
        yield from (clock, behind, targets, rows, twice, late)
        yield GaugeMetricFamily(
            "probestream_detect_commit_age_seconds", "Since the last commit.", value=time.monotonic() - self.committed
        )


PROGRESS = Progress()
REGISTRY.register(PROGRESS)
