"""Write everything that a local stack starts from; what is there already is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from spec import ModelSpec, Problem, SettingsError, SpecError, load_folder, set_clock
from trimtab.stack import airflow, binaries, envoy, layout, mlflow, monitoring, ports, secrets
from trimtab.stack.layout import Layout
from trimtab.stack.local import Stack


def prepare(
    home: Path,
    models_dir: Path,
    *,
    replay: bool = False,
    speed: float = 1.0,
    scrape_interval: timedelta = timedelta(seconds=5),
    announce: Callable[[str], None] = print,
) -> Stack:
    """Write the configuration of every process and return the stack, not started.

    Running it again on the same home keeps its data, secrets and ports. A stack that runs there is
    stopped only if its configuration changes.

    Parameters
    ----------
    home
        State folder; made if missing.
    models_dir
        Folder of model YAML files.
    replay
        Processing time comes from ``<home>/clock``, which the caller moves with `spec.set_clock`.
    speed
        Simulated seconds a wall second; alerts hold that many times shorter.
    scrape_interval
        Time between Prometheus's looks, and between its evaluations of the rules.
    announce
        Told of progress and of ports that moved, a line at a time.

    Raises
    ------
    SpecError
        A model's YAML is wrong, or there is none.
    SettingsError
        A program is missing.
    """
    specs = _specs(models_dir)
    binaries.check_all()
    home = home.absolute()
    _make(home)
    secrets.ensure(home / "secrets")
    _warn(announce)
    chosen = _layout(home, models_dir.absolute(), specs, replay=replay, speed=speed, announce=announce)
    chosen.save(home)
    clock = home / "clock"
    if replay and not clock.exists():
        set_clock(clock, datetime.now(UTC))
    stack = Stack(home, chosen, announce)
    airflow.prepare(home, stack.ports["airflow"])
    mlflow.prepare(home)
    monitoring.prepare(
        stack.settings, specs, stack.ports, replay=replay, speed=speed, scrape_interval=scrape_interval
    )
    envoy.prepare(stack.settings, specs, stack.ports)
    read_at_start = [*models_dir.glob("*.yaml"), *monitoring.files(home), airflow.file(home)]
    changed = stack.supervisor.write(stack.processes.values(), read_at_start)
    if changed and stack.supervisor.running():
        announce("the configuration changed; stopping what runs")
        stack.stop()
    return stack


def _make(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / ".writable").touch()
        (home / ".writable").unlink()
    except OSError as error:
        must = "must be a folder that can be written to"
        raise SettingsError([Problem(str(home), must, error.strerror or str(error))]) from error


def _layout(
    home: Path,
    models: Path,
    specs: dict[str, ModelSpec],
    *,
    replay: bool,
    speed: float,
    announce: Callable[[str], None],
) -> Layout:
    """Return the earlier layout where it can be kept: its ports, and the socket of one that runs."""
    before = layout.read(home)
    if before is None:
        chosen = ports.choose(_wanted(specs, {}), announce=announce)
        return Layout(str(models), layout.new_socket(), chosen, replay, speed)
    earlier = Stack(home, before, announce)
    running = earlier.supervisor.running()
    if not running:
        earlier.stop()  # what a killed supervisor left behind would hold the ports
    wanted = _wanted(specs, before.ports)
    chosen = ports.choose(wanted, keep=before.ports if running else (), announce=announce)
    socket = before.socket if running else layout.new_socket()
    return Layout(str(models), socket, chosen, replay, speed)


def _wanted(specs: Mapping[str, ModelSpec], before: Mapping[str, int]) -> dict[str, int]:
    payloads = [model for model, spec in specs.items() if spec.data.payloads is not None]
    return ports.wanted(specs, before, payloads=payloads)


def _specs(folder: Path) -> dict[str, ModelSpec]:
    specs = load_folder(folder)
    if not specs:
        raise SpecError([Problem(str(folder), "must hold a model's YAML", "no *.yaml file")])
    return specs


def _warn(announce: Callable[[str], None]) -> None:
    """Say where a server takes writes without a password, and what would give it one."""
    missing = []
    if not mlflow.can_ask_for_a_password():
        missing.append("MLflow (pip install 'mlflow[auth]')")
    if not monitoring.can_ask_for_a_password():
        missing.append("Alertmanager (pip install bcrypt)")
    if missing:
        announce(f"anybody on this machine can write to: {', '.join(missing)}")
