"""What ``probestream up`` runs for a configuration, and on which ports."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from probestream.broker.server import HOST, free_port, port_taken
from probestream.roles import ROLES, role_environment
from probestream.supervisor.child import Spec
from probestream.supervisor.supervisor import StartError, Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from probestream.config import Config
    from probestream.data import DataFolder
    from probestream.supervisor.display import Display


def plan(config: Config, path: Path, data: DataFolder, display: Display) -> Supervisor:
    """The supervisor for `config`, once its ports have been seen to be free. Raises StartError."""
    embedded = not config.kafka.bootstrap
    port = (config.kafka.embedded_port or free_port()) if embedded else None
    if port is not None:
        _suits_embedded(config)
        if port_taken(port):
            raise StartError(
                f"port {port} of {HOST}, on which the embedded Kafka would listen, is in use by another program. Set "
                f"kafka.embedded_port to another port (0 picks a free one), or kafka.bootstrap to a Kafka that runs."
            )
    page_port = config.gateway.port or free_port()
    if port_taken(page_port, config.gateway.host):
        raise StartError(
            f"port {page_port} of {config.gateway.host}, on which the gateway would listen, is in use by another "
            f"program. Set gateway.port (or PROBESTREAM__GATEWAY__PORT) to another port, 0 for any free one."
        )
    kafka = config.kafka.model_copy(update={"bootstrap": f"{HOST}:{port}"}) if port is not None else config.kafka
    host = "127.0.0.1" if config.gateway.host in ("0.0.0.0", "::") else config.gateway.host  # noqa: S104 - compared, not bound
    shown = f"[{host}]" if ":" in host else host
    # A port that was asked for as 0 is known only here; the default configuration watches both.
    ports = {"PROBESTREAM__GATEWAY__PORT": str(page_port)}
    if port is not None:
        ports["PROBESTREAM__KAFKA__EMBEDDED_PORT"] = str(port)
    return Supervisor(
        mode="up",
        data=data,
        display=display,
        kafka=kafka,
        port=port,
        roles=role_specs(path, data, display, kafka.servers, ports),
        page=f"http://{shown}:{page_port}/",
        config=path,
    )


def _suits_embedded(config: Config) -> None:
    if config.kafka.security != "PLAINTEXT":
        raise StartError(
            f"kafka.security is {config.kafka.security}, which needs a cluster: set kafka.bootstrap (or "
            f"PROBESTREAM_KAFKA). The embedded Kafka listens on loopback only, without a login."
        )
    if config.kafka.replication != 1:
        raise StartError(
            f"kafka.replication is {config.kafka.replication}, and the embedded Kafka is a single broker: leave it 1, "
            f"or set kafka.bootstrap."
        )


def role_specs(path: Path, data: DataFolder, display: Display, kafka: str, env: dict[str, str]) -> list[Spec]:
    """How each role is started."""
    ready_folder = data.path / "run"
    ready_folder.mkdir(exist_ok=True)
    ready_files = {name: ready_folder / f"{name}.ready" for name in ROLES}
    for left in ready_files.values():  # of a run that was killed
        left.unlink(missing_ok=True)

    def spec(name: str) -> Spec:
        ready_file, log = ready_files[name], data.logs / f"{name}.log"
        # The probes wait: checked before it listens, our own page would be down at every start.
        after = [file for other, file in ready_files.items() if other != name] if name == "probe" else []

        async def ready() -> bool:
            return ready_file.exists()

        return Spec(
            name=name,
            command=(
                *(sys.executable, "-m", "probestream", "run", name),
                *("--config", str(path), "--data", str(data.path)),
            ),
            log=log,
            ready=ready,
            env=env | role_environment(ready_file, kafka, after),
            before=lambda: ready_file.unlink(missing_ok=True),
            on_line=lambda line: display.line(name, line, log),
        )

    return [spec(name) for name in ROLES]
