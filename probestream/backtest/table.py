"""The report for a terminal, and as CSV with a line an alert."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from streams.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

_TARGETS, _ALERTS, _ONLY = 10, 15, 10
_COLUMNS = (
    "id", "rule", "target", "severity", "began", "fired", "ended", "seconds", "why_ended", "pages", "night_pages",
    "repeats", "kept_quiet_by", "value", "threshold", "label", "summary", "only", "covered_by",
)  # fmt: skip


def show(told: Mapping[str, Any], console: Console) -> None:
    """Print the report."""
    log, asked, nights = told["log"], told["asked"], told["nights"]
    console.print(
        f"[bold]{escape(told['rules_from'])}[/] over {clock(asked['from'])} to {clock(asked['to'])} UTC: "
        f"{log['samples']:,} samples of {log['targets']:,} targets; the log has {clock(log['from'])} to "
        f"{clock(log['to'])}"
    )
    for warning in told["warnings"]:
        console.print(f"[yellow]warning:[/] {escape(warning['message'])} [dim]\\[{warning['code']}][/]")
    total = told["total"]
    a_night = "no whole night" if total["pages_a_night"] is None else f"{total['pages_a_night']:g} pages a night"
    console.print(
        f"\n{_number(total['alerts'], 'alert')} would have fired, {_number(total['pages'], 'page')}; {a_night} "
        f"({nights['from']}-{nights['to']} {escape(nights['zone'])}), {total['worst_night']} in the worst; "
        f"{total['pending_only']} ended while pending, {total['never_told']} kept quiet\n"
    )
    console.print(_rules(told))
    if told["changes"]:
        console.print(_changes(told))
    if told["targets"]:
        console.print(_targets(told))
        console.print(_alerts(told))
    for differs in (told["fired"], told["against"]):
        if differs is not None:
            _difference(differs, told, console)
    if told["missed"]:
        console.print(f"[red]{_number(len(told['missed']), 'true alert')} by label would not have fired[/]")
    if told["silenced_noise"]:
        console.print(f"{_number(len(told['silenced_noise']), 'false alarm')} by label would not have fired")


def _figures(found: Mapping[str, Any]) -> list[str]:
    marked = found["false_positives"] + found["true_positives"]
    return [
        f"{found['alerts']:,}",
        f"{found['pages']:,}",
        "-" if found["pages_a_night"] is None else f"{found['pages_a_night']:g}",
        "-" if found["median_s"] is None else human(found["median_s"]),
        "-" if found["longest_s"] is None else human(found["longest_s"]),
        f"{found['false_positives']} of {marked}" if marked else "-",
    ]


_FIGURES = ("alerts", "pages", "a night", "median", "longest", "false by label")


def _table(title: str, *columns: str, right: tuple[str, ...] = _FIGURES) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    return table


def _rules(told: Mapping[str, Any]) -> Table:
    table = _table("Rules", "rule", "severity", "targets", *_FIGURES, right=("targets", *_FIGURES))
    for rule in told["rules"]:
        table.add_row(escape(rule["rule"]), rule["severity"], f"{rule['targets']:,}", *_figures(rule))
    return table


def _targets(told: Mapping[str, Any]) -> Table:
    table = _table("\nTargets with most pages", "target", *_FIGURES)
    for target in told["targets"][:_TARGETS]:
        table.add_row(escape(target["target"]), *_figures(target))
    if len(told["targets"]) > _TARGETS:
        table.add_row(f"[dim]and {len(told['targets']) - _TARGETS:,} more[/]")
    return table


def _changes(told: Mapping[str, Any]) -> Table:
    table = _table("\nChanged at run time meanwhile", "at (UTC)", "what", "change", "by", "note")
    for change in told["changes"][-_ALERTS:]:
        what = f"{change['kind']} {change['id']}, version {change['version']}"
        cells = (what, change["did"], change["actor"], change["note"])
        table.add_row(clock(change["at"]), *map(escape, cells))
    if len(told["changes"]) > _ALERTS:
        table.add_row("", f"[dim]and {len(told['changes']) - _ALERTS:,} before; --format json or html has all[/]")
    return table


def _alerts(told: Mapping[str, Any]) -> Table:
    fired = [a for a in told["alerts"] if a["fired"]]
    table = _table("\nAlerts", "fired (UTC)", "for", "rule", "target", "", right=("for",))
    for alert in fired[-_ALERTS:]:
        lasted = human(alert["seconds"] or 0.0) + ("" if alert["ended"] else ", still")
        quiet = ", ".join(alert["kept_quiet_by"])
        remark = alert["label"].replace("_", " ") or (f"quiet: {quiet}" if quiet else alert["summary"])
        table.add_row(clock(alert["fired"]), lasted, escape(alert["rule"]), escape(alert["target"]), escape(remark))
    if len(fired) > _ALERTS:
        table.add_row("", "", f"[dim]and {len(fired) - _ALERTS:,} before; --format csv, json or html has all[/]")
    return table


def _difference(differs: Mapping[str, Any], told: Mapping[str, Any], console: Console) -> None:
    old, new = differs["total"], told["total"]
    sooner = differs["sooner_s"]
    shift = f" (by the median {human(abs(sooner))} {'sooner' if sooner > 0 else 'later'})" if sooner else ""
    console.print(
        f"\n[bold]Beside {escape(differs['name'])}[/]: {new['alerts']:,} alerts for {old['alerts']:,}, "
        f"{new['pages']:,} pages for {old['pages']:,}; {differs['same']:,} are the same{shift}, "
        f"{len(differs['only_new']):,} new, {len(differs['only_old']):,} no more"
    )
    gone = differs["only_old"]
    if gone:
        table = _table("", "would not have fired", "for", "rule", "target", "", right=("for",))
        for alert in gone[:_ONLY]:
            covered = "another rule fires there then" if alert["covered_by"] else ""
            lasted = human(alert["seconds"] or 0.0)
            table.add_row(clock(alert["fired"]), lasted, escape(alert["rule"]), escape(alert["target"]), covered)
        if len(gone) > _ONLY:
            table.add_row(f"[dim]and {len(gone) - _ONLY:,} more[/]")
        console.print(table)


def clock(text: str | None) -> str:
    """An ISO time to the second, for people."""
    return "" if text is None else text[:19].replace("T", " ")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def as_csv(told: Mapping[str, Any]) -> str:
    """A line an alert; `only` is new or old where the comparison with `against`, or with what did fire, has it so."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    differs = told["against"] or told["fired"] or {"only_new": [], "only_old": []}
    new = {a["id"]: a["covered_by"] for a in differs["only_new"]}
    for alert in told["alerts"]:
        writer.writerow(_row({**alert, "only": "new" * (alert["id"] in new), "covered_by": new.get(alert["id"], "")}))
    for alert in differs["only_old"]:
        writer.writerow(_row({**alert, "only": "old"}))
    return out.getvalue()


def _row(alert: Mapping[str, Any]) -> dict[str, Any]:
    listed = {n: " ".join(alert[n]) for n in ("pages", "kept_quiet_by")}
    return {n: _plain(v) for n, v in {**alert, **listed}.items()}


def _plain(value: Any) -> Any:
    """A text that a spreadsheet takes for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
