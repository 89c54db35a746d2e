"""docker-compose.yml and the Dockerfile agree with the program: roles, commands, variables, files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from probestream.broker.jars import pinned
from probestream.cli import app
from probestream.config import load
from probestream.roles import READY_FILE, ROLES

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SERVICES = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"] == "probestream"}


def test_every_role_is_a_service_of_its_own():
    """No role is forgotten, and each service runs the role of its name."""
    assert {s["command"][1]: name for name, s in OURS.items() if s["command"][0] == "run"} == {r: r for r in ROLES}


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_is_one_that_the_program_takes(name):
    """The commands parse as the command line's own."""
    command, *arguments = OURS[name]["command"]
    found = get_command(app).get_command(None, command)
    assert found is not None
    found.make_context(command, list(arguments))


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_configuration_is_good_with_the_service_s_environment(name):
    """What compose sets is accepted, names the containers, and guards the page with a token."""
    environ = {k: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(v)) for k, v in OURS[name]["environment"].items()}
    (mounted,) = OURS[name]["configs"]
    assert mounted["target"] == environ["PROBESTREAM_CONFIG"]
    config = load(ROOT / COMPOSE["configs"][mounted["source"]]["file"], environ)
    assert config.kafka.servers == "kafka:9092"
    assert config.storage.url.get_secret_value().startswith("postgresql+psycopg://")
    assert config.gateway.host == "0.0.0.0"
    assert config.gateway.token is not None


def test_roles_can_be_scaled():
    """No role but the gateway, whose port is published, has anything that only one container can have."""
    for name in ROLES:
        assert "container_name" not in SERVICES[name]
        assert ("ports" in SERVICES[name]) == (name == "gateway")


def test_ports_are_published_on_loopback_only():
    """A try on a laptop is not a server for the network."""
    for service in SERVICES.values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_whatever_is_waited_for_says_when_it_is_there():
    """A service that others wait for to be healthy has a health check, and exists."""
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in SERVICES
            if wait["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]


def test_kafka_is_the_version_that_is_embedded():
    """What is tested here is what runs there."""
    version = next(jar.version for jar in pinned() if jar.artifact == "kafka_2.13")
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"


def test_the_image_copies_files_that_exist_and_are_not_ignored():
    """Everything the Dockerfile copies from the repository is there and let through by .dockerignore."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = shlex.split(line)
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source


def test_the_image_is_healthy_once_its_role_is_ready():
    """The file that a role touches is the one that the health check looks for, and the image runs as no root."""
    ready = re.search(rf"{READY_FILE}=(\S+)", DOCKERFILE).group(1)
    assert f'"test", "-f", "{ready}"' in DOCKERFILE
    assert re.search(r"^USER probestream$", DOCKERFILE, re.MULTILINE)


def test_every_example_is_a_good_configuration():
    """An example that does not load helps nobody; that of rule tests is run by theirs."""
    examples = sorted(set((ROOT / "examples").glob("*.yaml")) - {ROOT / "examples" / "rule-tests.yaml"})
    assert examples
    for example in examples:
        load(example, {})
