"""What an explanation needs of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.alerting import Watched
from streams.life import LifeDefaults
from streams.maintenance import Window
from streams.routing import Route
from streams.rules import Rule
from streams.silences import DeclaredSilence


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The file's rules, targets and routes. `channels` are the names of each receiver's; None: they are not known.

    `accept` is whether samples are taken of targets that the file does not name; the numbers are detection's limits.
    """

    rules: tuple[Rule, ...] = ()
    targets: Sequence[Watched] = ()
    route: Route | None = None
    channels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    silences: tuple[DeclaredSilence, ...] = ()
    maintenance: tuple[Window, ...] = ()
    defaults: LifeDefaults = field(default_factory=LifeDefaults)
    future_ms: float = 60_000.0
    lateness_ms: float = 3_600_000.0
    most_samples: int = 50_000
    forget_ms: float = 7 * 86_400_000.0
    quantiles: bool = True
    accept: bool = False
