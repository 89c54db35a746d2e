"""The report as a page of its own: one file, nothing loaded from anywhere, light or dark as the reader has it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from probestream.backtest.picture import drawn, picture
from probestream.backtest.span import Nights, Span
from probestream.backtest.table import clock
from streams.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MOST_ALERTS = 2000
_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c2126; --dim: #66707a; --line: #e2e6ea; --night: #eef1f6;
  --change: #0a7d6b; --critical: #d03a3a; --warning: #e08a1e; --info: #3f7fd0; --pending: #e9c98b; --quiet: #a9b1ba;
  --old: #6a4fb3; }
@media (prefers-color-scheme: dark) { :root { --back: #14181c; --text: #e4e8ec; --dim: #8f9aa5; --line: #2b3238;
  --night: #1d232b; --critical: #ef6461; --warning: #eda44c; --info: #6ea4e8; --pending: #7d673c; --quiet: #5c6670;
  --old: #a58be8; --change: #3fc2ab; } }
body { background: var(--back); color: var(--text); font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 1240px; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .dim { color: var(--dim); }
.warning-text::before { content: "Warning: "; font-weight: 600; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
.cards div { border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; }
.cards b { display: block; font-size: 1.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; min-width: 60%; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg text { font: 11px system-ui, sans-serif; fill: var(--text); } svg .rule { font-weight: 600; }
svg .target { text-anchor: end; fill: var(--dim); } svg .axis { text-anchor: middle; fill: var(--dim); }
svg .row, svg .tick { stroke: var(--line); stroke-width: .5; } rect.night { fill: var(--night); }
rect.critical, .key.critical { fill: var(--critical); background: var(--critical); }
rect.warning, .key.warning { fill: var(--warning); background: var(--warning); }
rect.info, .key.info { fill: var(--info); background: var(--info); }
rect.pending, .key.pending { fill: var(--pending); background: var(--pending); }
rect.quiet, .key.quiet { fill: var(--quiet); background: var(--quiet); }
rect.old, .key.old { fill: var(--old); background: var(--old); } .key.night { background: var(--night); }
.change line { stroke: var(--change); stroke-dasharray: 3 3; } .change path, .key.change { fill: var(--change);
  background: var(--change); }
.key { display: inline-block; width: 1rem; height: .7rem; margin: 0 .3rem 0 1rem; border-radius: 2px; }
"""


def as_html(told: Mapping[str, Any]) -> str:
    """The page."""
    other = told["against"] or told["fired"]
    log = told["log"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Backtest of {escape(told['rules_from'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Backtest of {escape(told['rules_from'])}</h1>",
        f'<p class="dim">{_span(told["asked"])}. {log["samples"]:,} samples of {log["targets"]:,} targets.</p>',
        f'<p class="dim">The log has {_span(log)}.</p>',
        *(f'<p class="warning-text">{escape(w["message"])}</p>' for w in told["warnings"]),
        _cards(told),
        *_timeline(told, other),
        "<h2>Rules</h2>",
        _table(
            ("rule", "severity", "targets", *_FIGURES),
            ((r["rule"], r["severity"], f"{r['targets']:,}", *_figures(r)) for r in told["rules"]),
            2,
        ),
    ]
    parts += _changes(told["changes"])
    if told["targets"]:
        parts += ["<h2>Targets</h2>", _table(("target", *_FIGURES), _target_rows(told), 1)]
    for differs in (told["fired"], told["against"]):
        if differs is not None:
            parts += _difference(differs, told)
    parts += ["<h2>Alerts</h2>", _alerts(told["alerts"]), "</body></html>"]
    return "\n".join(p for p in parts if p) + "\n"


def _span(of: Mapping[str, Any]) -> str:
    return f"{clock(of['from'])} to {clock(of['to'])} UTC"


def _nights(told: Mapping[str, Any]) -> list[tuple[float, float]]:
    nights = told["nights"]
    own = Nights.of(f"{nights['from']}-{nights['to']}", nights["zone"])
    return [(a, b) for _, a, b in own.within(Span(*drawn(told)))]


def _cards(told: Mapping[str, Any]) -> str:
    total, nights = told["total"], told["nights"]
    cards = [
        (f"{total['alerts']:,}", "alerts fired"),
        (f"{total['pages']:,}", "pages"),
        ("-" if total["pages_a_night"] is None else f"{total['pages_a_night']:g}", f"pages a night ({nights['zone']})"),
        (f"{total['worst_night']:,}", "in the worst night"),
        (f"{total['never_told']:,}", "kept quiet"),
        (human(total["firing_s"]) if total["firing_s"] else "0", "of firing in all"),
    ]
    if total["false_positives"] + total["true_positives"]:
        cards.append((f"{total['false_positives']}", "false by label"))
    return '<div class="cards">' + "".join(f"<div><b>{escape(n)}</b>{escape(w)}</div>" for n, w in cards) + "</div>"


def _timeline(told: Mapping[str, Any], other: Mapping[str, Any] | None) -> list[str]:
    if not told["total"]["alerts"] and other is None:
        return ["<p>Nothing would have fired.</p>"]
    drawing = picture(told, other, _nights(told))
    return [f"<h2>Timeline</h2>{_legend(other, told['changes'])}", f'<div class="scroll">{drawing}</div>']


def _legend(other: Mapping[str, Any] | None, changes: Sequence[Mapping[str, Any]]) -> str:
    keys = [("critical", "firing, critical"), ("warning", "warning"), ("info", "info"), ("pending", "pending"),
            ("quiet", "suppressed"), ("night", "night")]  # fmt: skip
    if other is not None:
        keys.append(("old", f"fired by {other['name']}" if other["name"] != "what did fire" else "did fire"))
    if any(change["kind"] in ("rule", "threshold") for change in changes):
        keys.append(("change", "a rule was changed"))
    return "<p>" + "".join(f'<span class="key {c}"></span>{escape(t)}' for c, t in keys) + "</p>"


_FIGURES = ("alerts", "pages", "a night", "worst night", "median", "longest", "false by label", "true")


def _figures(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{found['alerts']:,}",
        f"{found['pages']:,}",
        "-" if found["pages_a_night"] is None else f"{found['pages_a_night']:g}",
        f"{found['worst_night']:,}",
        "-" if found["median_s"] is None else human(found["median_s"]),
        "-" if found["longest_s"] is None else human(found["longest_s"]),
        f"{found['false_positives']:,}",
        f"{found['true_positives']:,}",
    )


def _target_rows(told: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    return ((t["target"], *_figures(t)) for t in told["targets"][:_MOST_ALERTS])


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], texts: int) -> str:
    """A table whose first `texts` columns are words, and the others numbers."""

    def line(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(
            f"<{tag}{' class=n' if i >= texts else ''}>{escape(c)}</{tag}>" for i, c in enumerate(cells)
        ) + "</tr>"  # fmt: skip

    return f'<div class="scroll"><table>{line("th", heads)}{"".join(line("td", r) for r in rows)}</table></div>'


def _alerts(alerts: list[Mapping[str, Any]]) -> str:
    fired = [a for a in alerts if a["fired"]]
    rows = (
        (
            clock(a["fired"]),
            human(a["seconds"] or 0.0) + ("" if a["ended"] else ", still"),
            a["rule"],
            a["target"],
            a["severity"],
            f"{len(a['pages'])}",
            a.get("label", "").replace("_", " ") or ", ".join(a["kept_quiet_by"]),
            a["summary"],
        )
        for a in fired[:_MOST_ALERTS]
    )
    more = f"<p>and {len(fired) - _MOST_ALERTS:,} more</p>" if len(fired) > _MOST_ALERTS else ""
    return _table(("fired (UTC)", "for", "rule", "target", "severity", "pages", "", "summary"), rows, 8) + more


def _changes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was changed at run time meanwhile."""
    if not changes:
        return []
    rows = (
        (clock(c["at"]), f"{c['kind']} {c['id']}", f"{c['version']}", c["did"], c["actor"], c["note"])
        for c in changes[:_MOST_ALERTS]
    )
    return ["<h2>Changed meanwhile</h2>", _table(("at (UTC)", "what", "version", "change", "by", "note"), rows, 6)]


def _difference(differs: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    old, new = differs["total"], told["total"]
    counts = (
        f"<p>{new['alerts']:,} alerts for {old['alerts']:,}, {new['pages']:,} pages for {old['pages']:,}; "
        f"{differs['same']:,} are the same, {len(differs['only_new']):,} new, {len(differs['only_old']):,} no more.</p>"
    )
    gone = f"<p>Those that would not have fired:</p>{_alerts(differs['only_old'])}" if differs["only_old"] else ""
    return [f"<h2>Beside {escape(differs['name'])}</h2>", counts, gone]
