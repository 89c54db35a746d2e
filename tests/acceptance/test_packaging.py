"""The wheel: complete, installable on its own, and owner of its own names only."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.kit.front_door import ROOT, copy_of_the_repository

pytestmark = pytest.mark.timeout(300)
PACKAGES = ("schemas", "streams", "agents", "probestream")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a clean copy of the repository."""
    source = copy_of_the_repository(tmp_path_factory.mktemp("source"))
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)])
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """A venv of its own with the wheel in it; the dependencies are this session's."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet", str(wheel)])
    site = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    # A path in a .pth brings packages, and not that folder's own .pth files: the repository stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(wheel):
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_owns_its_names_only(wheel):
    """Four packages and the metadata, nothing of tests, benchmarks or tools."""
    assert {n.partition("/")[0] for n in names(wheel)} == {*PACKAGES, wheel.name.split("-py3")[0] + ".dist-info"}


def test_every_file_that_is_no_code_is_shipped(wheel):
    """Schemas, the page, templates, the default configuration, the pins and the type markers are all there."""
    shipped = set(names(wheel))
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES], cwd=ROOT)
    wanted = {n for n in listed.splitlines() if (ROOT / n).exists()}
    assert wanted <= shipped, wanted - shipped
    for ending in (".avsc", ".html", ".css", ".js", ".j2", "default.yaml", "jars.sha256", "py.typed"):
        assert any(n.endswith(ending) for n in shipped), ending


def test_it_refuses_to_be_uploaded(wheel):
    """Its package names are generic, so an index must never take it."""
    about = zipfile.ZipFile(wheel).read(next(n for n in names(wheel) if n.endswith("METADATA"))).decode()
    assert "Classifier: Private :: Do Not Upload" in about
    assert "License-Expression: Apache-2.0" in about


def test_the_command_runs_from_a_venv_of_its_own(bare, tmp_path):
    """--help, version and the check of the shipped default work, far from the repository."""
    command = str(bare / "bin" / "probestream")
    assert "up" in run([command, "--help"], cwd=tmp_path)
    assert run([command, "version"], cwd=tmp_path).startswith("probestream ")
    assert "is good" in run([command, "check"], cwd=tmp_path)
    where = run([str(bare / "bin" / "python"), "-c", "import probestream; print(probestream.__file__)"], cwd=tmp_path)
    assert where.startswith(str(bare))


def test_init_writes_a_configuration_that_is_good(bare, tmp_path):
    """The file is the shipped default, and an existing one is not overwritten."""
    command = str(bare / "bin" / "probestream")
    run([command, "init"], cwd=tmp_path)
    assert "is good" in run([command, "check", "probestream.yaml"], cwd=tmp_path)
    again = subprocess.run([command, "init"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_every_role_can_be_imported_from_the_wheel(bare, tmp_path):
    """No role reaches for something that only the repository has."""
    roles = "probe detect alert notify history gateway"
    code = f"import importlib\nfor r in {roles.split()!r}: importlib.import_module(f'agents.{{r}}.app').run"
    run([str(bare / "bin" / "python"), "-c", code], cwd=tmp_path)


def test_every_import_is_a_declared_dependency():
    """Nothing works only because another package happens to bring it along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[\[<>=!~; ]", d)[0].lower().replace("_", "-") for d in project["dependencies"]}
    owners = metadata.packages_distributions()
    missing = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for name in imported(ast.parse(path.read_text("utf-8"))):
                if name in sys.stdlib_module_names or name in PACKAGES:
                    continue
                if not {o.lower().replace("_", "-") for o in owners.get(name, ())} & declared:
                    missing.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert missing == {}


def test_lower_layers_import_no_higher_one():
    """schemas ← streams ← agents ← probestream, and no hop imports another hop, but for its settings."""
    wrong = []
    for level, package in enumerate(PACKAGES):
        for path in (ROOT / package).rglob("*.py"):
            own = path.relative_to(ROOT).parts[:2]
            for name in modules(ast.parse(path.read_text("utf-8"))):
                parts = name.split(".")
                if parts[0] in PACKAGES[level + 1 :]:
                    wrong.append(f"{path.relative_to(ROOT)}: {name}")
                hops = [p[1] for p in (own, parts) if p[0] == "agents" and len(p) > 1 and is_hop(p[1])]
                if len(hops) == 2 and hops[0] != hops[1] and parts[2:3] != ["settings"]:
                    wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []


@pytest.mark.parametrize("lock", ["build", "run", "dev", "postgres"])
def test_locks_have_a_hash_for_everything_and_no_address(lock):
    """Each requirement is pinned and hashed; where it comes from is the user's affair."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    pins = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_lock_for_running_has_every_dependency():
    """A dependency that was added without `make lock` is noticed here, not by a user."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "requirements" / "run.txt").read_text("utf-8").lower()
    for wanted in project["dependencies"]:
        name = re.split(r"[\[<>=!~; ]", wanted)[0].lower().replace("_", "-")
        assert re.search(rf"^{re.escape(name)}==", text, re.MULTILINE), name


def is_hop(name):
    return (ROOT / "agents" / name).is_dir()


def imported(tree):
    return {m.split(".")[0] for m in modules(tree)}


def modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            if node.module == "agents":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
