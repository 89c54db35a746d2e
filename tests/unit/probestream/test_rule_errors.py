"""Bad rules are refused when they are loaded, each with its place and what would be right."""

from __future__ import annotations

import pytest

from probestream.config import ConfigError, load, load_text


def problems(text):
    with pytest.raises(ConfigError) as caught:
        load_text(text, "my.yaml", {})
    return [str(p) for p in caught.value.problems]


UP = "{name: a, metric: up, operator: '==', value: 0}"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("  - {name: r, metric: lateny, value: 5}", "2:15: rules[0].metric: there is no metric 'lateny'; did you mean latency?"),
        ("  - {name: r, metric: errorRate, value: .5}", "2:15: rules[0].metric: there is no metric 'errorRate'; did you mean error_rate?"),
        ("  - {name: r, metrc: up, value: 0}", "2:15: rules[0].metrc: unknown field; did you mean metric?"),
        ("  - {name: r, metric: latency, aggregate: medn, value: 5ms}", "2:32: rules[0].aggregate: there is no aggregate 'medn'; did you mean mean?"),
        ("  - {name: r, metric: latency, aggregate: surprise, value: 5}", "2:32: rules[0].aggregate: surprise is of the error_rate, not of latency"),
        ("  - {name: r, metric: latency, operator: bigger, value: 5}", "2:32: rules[0].operator: there is no operator 'bigger': write >, >=,"),
        ("  - {name: r, metric: latency, operator: greatrThan, value: 5}", "2:32: rules[0].operator: there is no operator 'greatrThan': write >, >=, <, <=, ==, !=, or greaterThan, greaterThanOrEqual, lessThan, lessThanOrEqual, equals or notEquals; did you mean greaterThan?"),
        ("  - {name: r, condition: {metric: latency, operator: equal, value: 5}}", "2:44: rules[0].condition.operator: there is no operator 'equal': write >,"),
        ("  - {name: r, metric: latency, operator: equal, value: 5}", "or notEquals; did you mean equals?"),
        ("  - {name: r, metric: latency, value: 5, severity: crit}", "2:42: rules[0].severity: Input should be 'critical', 'warning' or 'info'; did you mean critical?"),
        ("  - {name: r, metric: latency, value: 5, match: team=x}", "2:42: rules[0].match: must be a list: [a, b], or a line with a dash for each"),
        ("  - {name: r, metric: latency, value: 5, group_by: team}", "2:42: rules[0].group_by: must be a list"),
        ("  - {name: r, metric: latency, value: 5, labels: team}", "2:42: rules[0].labels: must be a mapping"),
        ("  - {name: 5, metric: latency, value: 5}", "2:6: rules[0].name: must be a text; write it in quotes"),
        ("  - null", "2:5: rules[0]: must be a mapping"),
        ("  - {name: r, metric: latency}", "2:5: rules[0].value: is required"),
        ("  - {name: r}", "2:5: rules[0]: needs a condition: metric and value, expr,"),
        (f"  - {UP[:-1]}, expr: up == 0}}", "rules[0].expr: metric is given as well"),
        ("  - {name: r, metric: latency, value: 5, window: 7m}", "2:42: rules[0].window: 7m cannot be held: windows are"),
        ("  - {name: r, metric: latency, value: 5, window: 2d}", "nearest: 1d"),
        ("  - {name: r, metric: up, value: 0, min_samples: 3}", "2:37: rules[0].min_samples: counts the samples of a window, and here is none"),
        ("  - {name: r, metric: latency, value: 500, recover: 600}", "2:44: rules[0].recover: thresholds cross: it begins > 500, so it must end at or below that, not at 600"),
        ("  - {name: r, metric: up, operator: '==', value: 0, recover: 1}", "2:53: rules[0].recover: == has no threshold beyond"),
        ("  - {name: r, metric: success_rate, warning: .95, critical: .9}", "2:51: rules[0].critical: thresholds cross: with >, critical must be above warning (0.95), not 0.9; swap them, or write operator: <"),
        ("  - {name: r, metric: error_rate, warning: .05, critical: .05}", "thresholds cross"),
        ("  - {name: r, metric: error_rate, warning: .05}", "2:35: rules[0].warning: critical is missing; for one threshold alone, write value and severity: warning"),
        ("  - {name: r, metric: error_rate, warning: .02, critical: .05, value: 3%}", "rules[0].value: warning and critical are given"),
        ("  - {name: r, metric: error_rate, value: 1.5}", "2:35: rules[0].value: error_rate is a share from 0 to 1: write 0.05 for 5 %"),
        ("  - {name: r, metric: error_rate, value: 150%}", "share from 0 to 1"),
        ("  - {name: r, metric: error_rate, value: 1}", "can never be true: error_rate is 0 to 1, and is compared with > 1"),
        ("  - {name: r, metric: error_rate, warning: .5, critical: 1.0}", "rules[0].critical: can never be true"),
        ("  - {name: r, metric: count, operator: '<', value: 0}", "rules[0].value: can never be true: count is never below 0"),
        ("  - {name: r, metric: latency, operator: '==', value: -1}", "can never be true"),
        ("  - {name: r, metric: latency, aggregate: change, value: 16}", "can never be true: change of latency is -16 to 16, and"),
        ("  - {name: r, anomaly: {metric: rate, seasonal: true}}", "rate counts over its window: it takes no aggregate"),
        ("  - {name: r, metric: latency, value: 5 parsecs}", "2:32: rules[0].value: '5 parsecs' is no duration"),
        ("  - {name: r, metric: queue.depth, value: 5m}", "rules[0].value: '5m' is no number"),
        ("  - {name: r, metric: queue.depth, value: 5%}", "a percentage fits error_rate, success_rate and metrics in per cent"),
        ("  - {name: r, metric: count, value: 2 * baseline}", "have a baseline"),
        ("  - {name: r, metric: status, value: unhelthy}", "rules[0].value: 'unhelthy' is no status: healthy, degraded, unhealthy or unknown; did you mean unhealthy?"),
        ("  - {name: r, expr: 'up == 0 and lateny > 3'}", "2:34: rules[0].expr: there is no metric 'lateny'; did you mean latency?"),
        ("  - name: r\n    expr: up == 0 and latency.p95[7m] > 3", "3:23: rules[0].expr: 7m cannot be held"),
        ("  - name: r\n    expr: |\n      up = = 0", "rules[0].expr: a value is wanted, not '=' (column 6 of the text)"),
        ("  - name: r\n    all: ['up == 0', 'up =']", "3:27: rules[0].all[1].expr: ends where a value is wanted"),
        ("  - {name: r, any: [{metric: latency, value: 5}, {metric: latency, valu: 5}]}", "rules[0].any[1].valu: unknown field; did you mean value?"),
        ("  - {name: r, all: ['db.status == unhealthy', 'up == 0']}", "give db a rule of its own, join them by alerts"),
        ("  - {name: r, all: [" + ", ".join(["up == 0"] * 33) + "]}", "33 conditions are too many for one rule: at most about 32"),
        ("  - name: r\n    condition:\n      metric: latency\n      operator: is\n      value: 5\n      duration: 5x", "7:7: rules[0].condition.duration: '5x' is no duration"),
        ("  - {name: r, metric: up, condition: {metric: up, value: 0}}", "2:15: rules[0].metric: condition.metric is given as well"),
        ("  - {name: r, condition: {metric: up, value: 0, durations: 3}}", "2:49: rules[0].condition.durations: unknown field; did you mean duration?"),
        (f"  - {UP[:-1]}, notification: {{chanels: [email]}}}}", "notification.chanels: unknown field; did you mean channels?"),
        (f"  - {UP[:-1]}, notification: {{escalateAfter: 5x}}}}", "notification.escalateAfter: '5x' is no duration"),
        ("  - {name: r, forecast: {metric: disk.used, limt: 3}}", "rules[0].forecast.limt: unknown field; did you mean limit?"),
        ("  - {name: r, forecast: {metric: disk.used, limit: many}}", "rules[0].forecast.limit: 'many' is no number"),
        ("  - {name: r, metric: disk.used, aggregate: forecast, value: 3h}", "rules[0].limit: forecast needs the limit that is not to be reached"),
        ("  - {name: r, anomaly: {metric: latency, sensitivity: extreme}}", "rules[0].anomaly.sensitivity: Input should be 'low', 'medium' or 'high'"),
        ("  - {name: r, anomaly: {metric: latency, sensitivity: hihg}}", "or 'high'; did you mean high?"),
        ("  - {name: r, anomaly: count}", "rules[0].anomaly: count counts over its window"),
        ("  - {name: r, absent: soon}", "2:15: rules[0].absent: 'soon' is no duration"),
        ("  - {name: r, metric: missed, value: 1}", "missed needs a schedule"),
        ("  - {name: r, schedule: {cron: '61 3 * * *'}}", "2:26: rules[0].schedule.cron: '61 3 * * *' is no cron expression"),
        ("  - {name: r, schedule: {cron: '0 3 * * *', zone: Europe/Berln}}", "2:45: rules[0].schedule.zone: 'Europe/Berln' is no time zone; did you mean Europe/Berlin?"),
        ("  - {name: r, schedule: {cron: '0 0 30 2 *'}}", "rules[0].schedule.cron: '0 0 30 2 *' never comes: there is no such day"),
        ("  - {name: r, schedule: {cron: 'R 3 * * mon'}}", "H and R are another time on each worker"),
        ("  - {name: r, schedule: {cron: '0 3 * *'}}", "has 4 fields, a cron expression has 5"),
        ("  - {name: r, transition: {from: [healthy], to: [healthy, unhealthy]}}", "rules[0].transition.from: healthy is in from and in to"),
        ("  - {name: r, transition: {to: [unhealty]}}", "rules[0].transition.to[0]: 'unhealty' is no status"),
        ("  - {name: r, slo: 100}", "rules[0].slo.objective: Input should be less than 100"),
        ("  - {name: r, slo: 90}", "From 93.1 on it can"),
        ("  - {name: r, slo: {objective: 99.9, window: 1d}}", "rules[0].slo.window: too short for burn rates over hours: at least 5d"),
        (f"  - {UP}\n  - {{name: c, alerts: [a, b]}}", "3:15: rules[1].alerts.all[1]: there is no rule 'b'"),
        (f"  - {UP}\n  - {{name: downn, alerts: [down]}}", "rules[1].alerts.all[0]: there is no rule 'down'; did you mean downn?"),
        ("  - {name: a, alerts: [b]}\n  - {name: b, alerts: {any: [c]}}\n  - {name: c, alerts: {not: a}}", "alerts depend on themselves: a → b → c → a"),
        ("  - {name: a, alerts: [a]}", "alerts depend on themselves: a → a"),
        ("  - {name: a, alerts: {all: [a], any: [b]}}", "rules[0].alerts: needs one of all, any, not"),
        (f"  - {UP}\n  - {UP}", "3:6: rules[1].name: 'a' is already the name of another rule"),
        (f"  - {UP[:-1]}, id: x}}\n  - {{name: b, id: x, alerts: [a]}}", "rules[1].id: 'x' is already the id of another rule"),
        ("  - {name: 'r:critical', metric: up, value: 0}\n  - {name: r, metric: errors, warning: 1, critical: 2}", "rules[1].name: 'r:critical' would be there twice"),
        (f"  - {UP[:-1]}, share: 1.5}}", "rules[0].share: Input should be less than or equal to 1"),
        (f"  - {UP[:-1]}, share: .5, at_least: 3}}", "rules[0].at_least: share is given as well"),
        (f"  - {UP[:-1]}, escalate: [{{after: 10m}}, {{after: 5m}}]}}", "rules[0].escalate[1].after: each step comes later than the one before"),
        (f"  - {UP[:-1]}, escalate: [{{after: 10m, receivers: [op]}}]}}\nreceivers: [{{name: ops}}]", "rules[0].escalate[0].receivers: no receiver is named 'op'; did you mean 'ops'?"),
        (f"  - {UP[:-1]}, runbook: wiki}}", "rules[0].runbook: an address that begins with https:// or http:// is wanted"),
    ],
)  # fmt: skip
def test_a_bad_rule_is_refused_with_place_and_cure(rules, expected):
    """File, line, column, field, and what to write instead."""
    found = problems(f"rules:\n{rules}\n")
    assert any(expected in p for p in found), found
    assert all(p.startswith("my.yaml:") for p in found)


def test_every_bad_rule_is_told_at_once():
    """Nobody runs the check once for each."""
    found = problems(
        "rules:\n  - {name: a, metric: lateny, value: 1}\n  - {name: b, slo: 3}\n  - {name: c, expr: up ==}\n"
    )
    assert [p.split(":")[1] for p in found] == ["2", "3", "4"]


def test_a_receiver_is_blamed_on_the_rule_in_the_file(tmp_path):
    """A rule of the file that became two does not move the places of those behind it."""
    found = problems(
        "rules:\n  - {name: p, metric: errors, warning: 1, critical: 2}\n"
        "  - {name: q, metric: errors, value: 1, escalate: [{after: 1m, receivers: [x]}]}\n"
    )
    assert found == ["my.yaml:3:64: rules[1].escalate[0].receivers: no receiver is named 'x'; defined: none"]


def test_a_file_of_10_mb_is_refused_before_it_is_read(tmp_path):
    """By its size alone, with the limit, the place that is beyond it, and what to do instead."""
    big = tmp_path / "big.yaml"
    with big.open("w") as file:
        file.write("rules:\n")
        line = "  - {name: r, metric: error_rate, value: 0.05}  # " + "x" * 50 + "\n"
        file.write(line * (10_000_000 // len(line)))
    for read in (lambda: load(big, {}), lambda: load_text(big.read_text(), str(big), {})):
        with pytest.raises(ConfigError) as caught:
            read()
        (found,) = caught.value.problems
        lines, rest = divmod(8 * 1024 * 1024 - len("rules:\n"), len(line))
        told = (
            f"{big}:{lines + 2}:{rest + 1}: 10.0 MB are too much, at most 8.4 MB are read, up to here: let a rule match"
        )
        assert str(found).startswith(told)
