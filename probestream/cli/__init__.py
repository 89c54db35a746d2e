"""The ``probestream`` command.

Exit codes: 0 done, 1 it did not work (or is unhealthy), 2 wrong use or configuration.
"""

from __future__ import annotations

import os
import sys

import typer

from probestream.cli import (
    asking,
    audit,
    backtest,
    broker,
    check,
    explain,
    kept,
    lint,
    logs,
    maintenance,
    probe,
    role,
    rules,
    silence,
    status,
    test,
    topics,
    up,
)

app = typer.Typer(
    name="probestream",
    help="Streaming health monitoring and alerting on Kafka. `probestream up` starts everything on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
app.command("up")(up.up)
app.command("init")(check.init)
app.command("check")(check.check)
app.command("lint")(lint.lint)
app.command("test")(test.rule_tests)
app.command("schema")(check.schema)
app.command("backtest")(backtest.backtest)
app.add_typer(backtest.export, name="export")
app.command("status")(status.status)
app.command("topics")(topics.topics)
app.command("tail")(topics.tail)
app.command("probe")(probe.probe)
app.command("run")(role.run)
app.add_typer(logs.app, name="logs")
app.add_typer(silence.app, name="silence")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(rules.app, name="rules")
app.add_typer(kept.preferences, name="preferences")
app.add_typer(kept.targets, name="targets")
app.add_typer(kept.inhibitions, name="inhibitions")
app.add_typer(kept.dependencies, name="dependencies")
app.command("ack")(asking.ack)
app.command("snooze")(asking.snooze)
app.command("resolve")(asking.resolve)
app.command("explain")(explain.explain)
app.command("audit")(audit.audit)
app.command("reload")(audit.reload)
app.add_typer(broker.app, name="broker")
app.command("version")(status.version)


def main() -> None:
    """Run the command line; what a person can set right is told in a line or two, without a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `probestream tail samples | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # sorted below; what is nobody's mistake goes on with its traceback
        from probestream.cli.common import explain  # noqa: PLC0415 - its imports are for failures only

        told = explain(error)
        if told is None or os.environ.get("PROBESTREAM_DEBUG"):
            raise
        code, text = told
        print(text, file=sys.stderr)  # noqa: T201 - the command's answer
        sys.exit(code)
