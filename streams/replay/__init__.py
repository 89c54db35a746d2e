"""The hops without the log between them: samples in, alerts out, by a clock that only the input moves."""

from streams.replay.alerting import Alerting, Answer, Found
from streams.replay.detection import Detection, Refusals, Terms, terms_of
from streams.replay.replay import IDLE_MS, Replay

__all__ = ["IDLE_MS", "Alerting", "Answer", "Detection", "Found", "Refusals", "Replay", "Terms", "terms_of"]
