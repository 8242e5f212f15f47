"""A whole Trimtab on this machine: prepared in a home folder, started, watched and stopped as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

import psutil

from spec import ModelSpec, Settings, load_folder
from trimtab.stack import airflow, daemons, envoy, health, layout, mlflow, monitoring, surroundings, survivors
from trimtab.stack.doors import Door, doors
from trimtab.stack.layout import Layout
from trimtab.stack.ports import HOST
from trimtab.stack.processes import Process
from trimtab.stack.status import Row, rows
from trimtab.stack.supervisor import Supervisor

Announce = Callable[[str], None]
_READY_TIMEOUT_S = 300.0


class Stack:
    """The local stack of one home folder.

    Make one with `prepare` (writes everything) or `Stack.open` (reads what `prepare` wrote).

    Parameters
    ----------
    home
        State folder, absolute.
    layout
        Ports, model folder, control socket and replay.
    announce
        Told of progress, a line at a time.
    """

    def __init__(self, home: Path, layout: Layout, announce: Announce = print) -> None:
        self.home, self.layout, self.announce = home, layout, announce
        self.ports: Mapping[str, int] = layout.ports
        self.supervisor = Supervisor(home, Path(layout.socket))

    @classmethod
    def open(cls, home: Path, announce: Announce = print) -> Stack:
        """Return the stack that was prepared in `home`; `NotFound` when there is none."""
        home = home.absolute()
        return cls(home, layout.require(home), announce)

    @classmethod
    def open_if_there(cls, home: Path, announce: Announce = print) -> Stack | None:
        """Return the stack that was prepared in `home`, or None."""
        home = home.absolute()
        known = layout.read(home)
        return None if known is None else cls(home, known, announce)

    @cached_property
    def specs(self) -> dict[str, ModelSpec]:
        """The models that the stack serves, by name."""
        return load_folder(Path(self.layout.models))

    @cached_property
    def settings(self) -> Settings:
        """The surroundings as every process of the stack sees them."""
        return Settings.from_env(self.environment())

    def environment(self) -> dict[str, str]:
        """Return the ``TRIMTAB_*`` variables, and MLflow's credentials: what a client of the stack needs."""
        return surroundings.environment(self.home, self.layout)

    def url(self, name: str) -> str:
        """Base URL of a server, by the name of its port."""
        return f"http://{HOST}:{self.ports[name]}"

    @cached_property
    def processes(self) -> dict[str, Process]:
        """Every process of the stack, by name."""
        ours = surroundings.LIMITS | self.environment()
        slack = {"AIRFLOW_CONN_SLACK": surroundings.slack_connection(self.home, self.ports["slack"])}
        found = [
            *envoy.processes(self.settings),
            mlflow.process(self.home, self.ports["mlflow"]),
            *airflow.processes(self.home, self.ports["airflow"], ours | slack),
            *monitoring.processes(self.home, self.ports),
            *daemons.processes(self.specs, self.ports, ours),
        ]
        return {process.name: process for process in found}

    def start(self, names: Iterable[str] | None = None, *, owned: bool = False) -> None:
        """Start processes without waiting for them; those that run already are left alone.

        Parameters
        ----------
        names
            Names of `processes`; None for all.
        owned
            The stack dies with the calling process, however that ends. Call from a thread that
            lives as long (the main one).
        """
        if not self.supervisor.running():
            self.end_survivors()
            self.supervisor.start(owned=owned)
            pid = self.supervisor.pid()
            if pid is not None:
                survivors.remember(self.home, pid)
        self.supervisor.launch(self.processes if names is None else names)

    def wait_ready(self, timeout: float = _READY_TIMEOUT_S, names: Iterable[str] | None = None) -> None:
        """Return when all processes (or those named) can be used.

        Raises
        ------
        Unavailable
            One gave up or `timeout` seconds have passed; the text says which and why.
        """
        chosen = self.processes if names is None else {name: self.processes[name] for name in names}
        health.wait_ready(chosen, self.supervisor.states, timeout, self.announce)

    def stop(self) -> None:
        """Stop every process of the stack; returns when none is left."""
        self.supervisor.stop()
        self.end_survivors()

    def status(self) -> list[Row]:
        """Return one row a process: state, pid, uptime, CPU, memory, log."""
        return rows(self.supervisor.states())

    def doors(self) -> list[Door]:
        """Return where a person gets in, with user and password file."""
        return doors(self.home, self.ports)

    def addresses(self) -> str:
        """Return the doors as text, a line each."""
        return "\n".join(map(str, self.doors()))

    def members(self) -> list[psutil.Process]:
        """Return every live process of the stack, supervisord and all children included."""
        return survivors.find(self.home)

    def leftovers(self) -> list[psutil.Process]:
        """Return live processes of this home that no supervisor looks after."""
        return [] if self.supervisor.running() else self.members()

    def end_survivors(self) -> None:
        """End what `leftovers` finds."""
        left = self.leftovers()
        if left:
            self.announce(f"ending {len(left)} processes that were left behind")
            survivors.end(left)
