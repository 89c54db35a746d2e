"""Who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("schemas", "streams", "agents", "probestream")
HOPS = tuple(p.name for p in (ROOT / "agents").iterdir() if (p / "app.py").exists())
FAUST_FILES = {"streams/app.py", "streams/tables.py", "streams/topics.py", "streams/recovery.py"}


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer):
    """schemas <- streams <- agents <- probestream: no layer imports one above it."""
    above = LAYERS[LAYERS.index(layer) + 1 :]
    files = list((ROOT / layer).rglob("*.py"))
    assert files
    wrong = {str(f.relative_to(ROOT)): n for f in files for n in imports(f) if n.split(".")[0] in above}
    assert not wrong


def test_no_hop_imports_another():
    """A hop knows others only by the topics between them, and by their settings where a type is needed."""
    assert set(HOPS) == {"probe", "detect", "alert", "notify", "history", "gateway", "logs"}
    wrong = []
    for hop in HOPS:
        for file in (ROOT / "agents" / hop).rglob("*.py"):
            for name in imports(file):
                parts = name.split(".")
                if (
                    parts[0] == "agents"
                    and len(parts) > 1
                    and parts[1] in HOPS
                    and parts[1] != hop
                    and parts[2:3] != ["settings"]
                ):
                    wrong.append((str(file.relative_to(ROOT)), name))
    assert not wrong


def test_faust_is_known_to_few():
    """Only the topology's own files know Faust."""
    users = {
        str(f.relative_to(ROOT)) for layer in LAYERS for f in (ROOT / layer).rglob("*.py")
        if any(n.split(".")[0] == "faust" for n in imports(f))
    }  # fmt: skip
    assert users <= FAUST_FILES
