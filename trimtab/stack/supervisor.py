"""The stack's supervisord: its start and its end, and what it says over its unix socket."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from spec import Refused, Unavailable
from trimtab.mark import MARK
from trimtab.stack import child, supervisor_config, survivors
from trimtab.stack.processes import Process, write_owned_plan, write_plan
from trimtab.stack.secrets import write_private

_FOREIGN = ("AIRFLOW_", "MLFLOW_", "TRIMTAB_", "SUPERVISOR_")
_START_TIMEOUT_S = 15.0
_END_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class State:
    """What supervisord knows of one process; `started_at` is in Unix seconds, 0 before the first start."""

    name: str
    state: str
    pid: int
    started_at: float
    exit_status: int
    reason: str
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it runs, or is being started."""
        return self.state in {"RUNNING", "STARTING", "BACKOFF"}

    @property
    def done(self) -> bool:
        """Whether it has ended well."""
        return self.state == "EXITED" and self.exit_status == 0

    @property
    def fine(self) -> bool:
        """Whether it runs or is in its first start, or is done with what it had to do."""
        return self.done or self.state in {"RUNNING", "STARTING"}

    @property
    def trouble(self) -> str:
        """What is known of why it is not fine; nothing when it is."""
        if self.fine:
            return ""
        ended = f"exit status {self.exit_status}" if self.state == "EXITED" else ""
        return "; ".join(part for part in (ended, self.reason, last_line(self.log)) if part)


class Supervisor:
    """One supervisord, which need not run.

    Parameters
    ----------
    home
        The stack's state folder.
    socket
        Path of the control socket, in a folder that only its owner enters.
    """

    def __init__(self, home: Path, socket: Path) -> None:
        self.home, self.socket = home, socket
        self.folder, self.logs = home / "supervisor", home / "logs"
        self._started: subprocess.Popen[bytes] | None = None

    def write(self, processes: Iterable[Process], inputs: Iterable[Path] = ()) -> bool:
        """Write the configuration and the plans; return whether they, or the `inputs`, are not as before.

        Parameters
        ----------
        inputs
            Files that the processes read once, at their start.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        plans = [(process, write_plan(process, self.folder, self.home)) for process in processes]
        written = {plan for _, plan in plans}
        for stale in set(self.folder.glob("*.json")) - written:
            stale.unlink()
        config = self.folder / "supervisord.conf"
        write_private(config, supervisor_config.render(plans, self.folder, self.logs, self.socket))
        return self._remember([*written, config, *inputs])

    def _remember(self, files: Iterable[Path]) -> bool:
        """Note the content of files; return whether it is another than last time."""
        digest = hashlib.sha256()
        for file in sorted(files):
            digest.update(f"{file}\0".encode() + file.read_bytes() + b"\0")
        note = self.folder / "fingerprint"
        changed = not note.exists() or note.read_text("ascii") != digest.hexdigest()
        write_private(note, digest.hexdigest())
        return changed

    def start(self, *, owned: bool) -> None:
        """Start supervisord, with no program yet; `owned`: it dies with the calling thread's process."""
        self._own_socket_folder()
        argv: tuple[str, ...] = (sys.executable, "-m", "supervisor.supervisord")
        argv += ("-c", str(self.folder / "supervisord.conf"))
        if owned:
            plan = self.folder / "supervisord.plan"
            write_owned_plan(argv, plan, self.home, os.getpid())
            argv = (sys.executable, "-I", child.__file__, str(plan))
        with (self.logs / "supervisord.out").open("wb") as output:
            self._started = subprocess.Popen(  # noqa: S603 - our own configuration
                argv, env=self._environment(), stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.running():
            if self._started.poll() is not None or time.monotonic() > deadline:
                msg = f"supervisord does not start: {last_line(self.logs / 'supervisord.out')}"
                raise Unavailable(msg)
            time.sleep(0.02)

    def running(self) -> bool:
        """Whether supervisord answers on its socket."""
        try:
            with self._proxy() as proxy:
                return bool(proxy.getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def pid(self) -> int | None:
        """Return supervisord's pid, or None when it does not answer."""
        try:
            with self._proxy() as proxy:
                return int(proxy.getPID())
        except (OSError, xmlrpc.client.Error):
            return None

    def launch(self, names: Iterable[str]) -> None:
        """Start processes that do not run yet, without waiting for them."""
        down = {state.name for state in self.states() if not (state.alive or state.done)}
        with self._proxy() as proxy:
            for name in names:
                if name in down:
                    proxy.startProcess(f"{supervisor_config.GROUP}:{name}", False)  # noqa: FBT003 - do not wait; the call knows no names

    def states(self) -> list[State]:
        """Return the state of every process; empty when supervisord does not answer."""
        try:
            with self._proxy() as proxy:
                return [_state(info) for info in proxy.getAllProcessInfo()]
        except (OSError, xmlrpc.client.ProtocolError):
            return []

    def stop(self) -> None:
        """Stop every process and supervisord itself; does nothing when it does not run."""
        pid = self.pid()
        if pid is not None:
            leader = psutil.Process(pid)
            with self._proxy() as proxy:
                proxy.stopAllProcesses()
                proxy.shutdown()
            if survivors.await_end([leader], _END_TIMEOUT_S):
                msg = f"supervisord (pid {pid}) does not end; see {self.logs / 'supervisord.log'}"
                raise Unavailable(msg)
        if self._started is not None:
            self._started.poll()  # take note of its end
        shutil.rmtree(self.socket.parent, ignore_errors=True)

    def _own_socket_folder(self) -> None:
        """Make the socket's folder; refuse one that somebody else could have put there."""
        folder = self.socket.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            msg = f"{folder} must be a folder that only you can enter; it holds the supervisor's socket"
            raise Refused(msg)

    def _environment(self) -> dict[str, str]:
        """Return ours, without what would reconfigure the stack's servers, and with its mark."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return env | {MARK: str(self.home)}

    @contextmanager
    def _proxy(self) -> Iterator[Any]:
        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        try:
            yield xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor
        finally:
            transport.close()


def last_line(file: Path) -> str:
    """Return the last line that says something in a log, or that there is none."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), f"nothing in {file}")


def _state(info: dict[str, Any]) -> State:
    return State(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        started_at=float(info["start"]),
        exit_status=info["exitstatus"],
        reason=info["spawnerr"],
        log=Path(info["stdout_logfile"]),
    )
