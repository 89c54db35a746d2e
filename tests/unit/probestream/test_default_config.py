"""The configuration that is there from the start, which most people begin with."""

from __future__ import annotations

import re

import pytest

from probestream.cli.common import DEFAULT_CONFIG
from probestream.config import load

# A comment that is YAML once its mark is taken away, and not a sentence.
EXAMPLE = re.compile(r"^( *)# ( *(?:- [{\w]|[a-z_]+:(?: |$)).*)$")
# What a file has instead of something else in it, not beside it.
INSTEAD = ("bootstrap:", "security:", "sasl_", "secret_file:")


def test_every_example_in_it_can_be_used(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mark of every comment that is an example taken away, the file is a configuration still."""
    for name in ("SHOP_TOKEN", "WEBHOOK_SECRET", "PROBESTREAM_TOKEN", "DB_PASSWORD"):
        monkeypatch.setenv(name, "s3cret-and-long-enough")
    for name in ("SLACK_WEBHOOK_URL", "SLACK_ON_CALL_URL"):
        monkeypatch.setenv(name, "https://hooks.example.com/x")
    lines, examples = [], 0
    for line in DEFAULT_CONFIG.read_text("utf-8").splitlines():
        found = EXAMPLE.match(line)
        if found and not found[2].strip().startswith(INSTEAD):
            examples += 1
            line = found[1] + found[2]  # noqa: PLW2901 - the line without its mark
        lines.append(line)
    file = tmp_path / "probestream.yaml"
    file.write_text("\n".join(lines), "utf-8")
    (tmp_path / "smtp-password.txt").write_text("s3cret")
    config = load(file)
    assert examples > 60
    assert {"availability:critical", "response-time:warning", "silent"} <= {r.name for r in config.rules}
    assert config.silences
    assert config.maintenance
    assert config.inhibit_rules
    assert config.logs.classes
    assert {t.name: t.depends_on for t in config.targets}["shop"] == ("database",)
