"""Rewrites ``jars.sha256``: ``python -m probestream.broker.pin`` after a version below has been changed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from probestream.broker.jars import PIN_FILE, sha256

# Resolved one by one: jgo takes the first coordinate's dependency management for the others too.
ENDPOINTS = (
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
_HEAD = """\
# Every jar of the embedded broker: SHA-256, then group:artifact:version. Each start verifies them.
# Written by `python -m probestream.broker.pin`; the first jar of each line of versions is named there.
"""


def main() -> None:
    """Resolve the endpoints with all they depend on, fetch every jar, and write the pin file."""
    import jgo  # noqa: PLC0415 - heavy, and wanted here only
    from jgo.maven import MavenContext  # noqa: PLC0415

    chosen: dict[tuple[str, str], str] = {}
    for endpoint in ENDPOINTS:
        for artifact in jgo.resolve(endpoint):
            key = (artifact.groupId, artifact.artifactId)
            if chosen.setdefault(key, artifact.version) != artifact.version:
                raise SystemExit(f"{key} is wanted as {chosen[key]} and as {artifact.version}: align ENDPOINTS")
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=60)
        lines = []
        for (group, name), version in chosen.items():
            path = context.project(group, name).at_version(version).artifact().resolve()
            lines.append(f"{sha256(path)}  {group}:{name}:{version}\n")
    PIN_FILE.write_text(_HEAD + "".join(lines), "utf-8")
    print(f"{len(lines)} jars pinned in {PIN_FILE}")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
