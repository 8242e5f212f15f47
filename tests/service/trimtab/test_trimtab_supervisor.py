"""A real supervisord over small programs: what is killed comes back, what is stopped is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from spec import Unavailable
from trimtab.stack import health, layout, survivors
from trimtab.stack.processes import Process
from trimtab.stack.supervisor import Supervisor

pytestmark = pytest.mark.service

SLEEP = Process("sleeper", ("sleep", "600"))
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Give a supervisor that has not started, and leave nothing of it behind."""
    made = Supervisor(tmp_path, Path(layout.new_socket()))
    yield made
    made.stop()
    survivors.end(survivors.find(tmp_path))


def started(supervisor: Supervisor, *processes: Process) -> None:
    """Start supervisord and the processes."""
    supervisor.write(processes)
    supervisor.start(owned=False)
    pid = supervisor.pid()
    assert pid is not None
    survivors.remember(supervisor.home, pid)
    supervisor.launch([process.name for process in processes])


def pid_of(supervisor: Supervisor, name: str) -> int:
    """Return the pid of a process, 0 while it has none."""
    return next(state.pid for state in supervisor.states() if state.name == name)


def ended(pid: int) -> bool:
    """Whether a process has ended, even if nobody has buried it yet."""
    return not psutil.pid_exists(pid) or not survivors.alive(psutil.Process(pid))


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_a_killed_process_comes_back(supervisor: Supervisor) -> None:
    """A process that is killed is started again by itself."""
    started(supervisor, SLEEP)
    until(lambda: pid_of(supervisor, "sleeper") != 0)
    first = pid_of(supervisor, "sleeper")
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(supervisor, "sleeper") not in {0, first})


def test_stopping_leaves_nothing(supervisor: Supervisor) -> None:
    """After the stop no process, child of a process or socket is left."""
    started(supervisor, Process("family", ("sh", "-c", "sleep 600 & sleep 600")))
    until(lambda: len(survivors.find(supervisor.home)) == 4)  # supervisord, sh and two sleeps
    supervisor.stop()
    assert survivors.find(supervisor.home) == []
    assert not supervisor.socket.parent.exists()


def test_what_a_killed_supervisor_leaves_is_found_and_ended(supervisor: Supervisor) -> None:
    """After kill -9 of supervisord even a process that ignores SIGTERM and hides its environment ends."""
    hides = f"import setproctitle; setproctitle.setproctitle('x' * 4000); {DEAF}"
    started(supervisor, SLEEP, Process("deaf", (sys.executable, "-c", hides)))
    until(lambda: "deaf" in (supervisor.logs / "deaf.log").read_text())
    leader, sleeper = supervisor.pid(), pid_of(supervisor, "sleeper")
    assert leader is not None
    os.kill(leader, signal.SIGKILL)
    until(lambda: ended(sleeper))  # it heard of its parent's death
    left = survivors.find(supervisor.home)
    assert [process.pid for process in left if process.pid != leader] != []
    survivors.end(left)
    assert survivors.find(supervisor.home) == []


def test_an_owned_supervisor_dies_with_its_owner(tmp_path: Path) -> None:
    """After kill -9 of the owner supervisord and its processes end by themselves."""
    script = f"""
import time
from pathlib import Path
from trimtab.stack.processes import Process
from trimtab.stack.supervisor import Supervisor
supervisor = Supervisor(Path({str(tmp_path)!r}), Path({layout.new_socket()!r}))
supervisor.write([Process("sleeper", ("sleep", "600"))])
supervisor.start(owned=True)
supervisor.launch(["sleeper"])
print(supervisor.pid(), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        supervisor = int(owner.stdout.readline())
        until(lambda: len(survivors.find(tmp_path)) == 2)
        owner.kill()
    until(lambda: ended(supervisor))
    assert survivors.find(tmp_path) == []


def test_a_process_waits_for_its_file(supervisor: Supervisor, tmp_path: Path) -> None:
    """A process that needs a file starts its program only when the file is there."""
    needed, proof = tmp_path / "needed", tmp_path / "proof"
    started(supervisor, Process("late", ("sh", "-c", f"touch '{proof}'; sleep 600"), after=(needed,)))
    until(lambda: pid_of(supervisor, "late") != 0)
    assert not proof.exists()
    needed.touch()
    until(proof.exists)


def test_orphans_that_hold_a_port_are_ended_before_the_restart(supervisor: Supervisor) -> None:
    """A child that outlives its killed parent does not keep the parent's successor from its port."""
    started(supervisor, Process("forks", ("sh", "-c", "sleep 601 & sleep 602"), sweep=True))
    until(lambda: pid_of(supervisor, "forks") != 0)
    first = pid_of(supervisor, "forks")
    until(lambda: len(psutil.Process(first).children()) == 2)
    orphans = [child.pid for child in psutil.Process(first).children()]
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(supervisor, "forks") not in {0, first})
    until(lambda: all(map(ended, orphans)))


def test_a_process_that_cannot_start_says_why(supervisor: Supervisor) -> None:
    """Waiting ends early, with the last line of the log of the process that gave up."""
    broken = Process("broken", ("sh", "-c", "echo no such licence >&2; exit 3"))
    started(supervisor, broken)
    with pytest.raises(Unavailable, match="broken does not start: no such licence"):
        health.wait_ready({"broken": broken}, supervisor.states, 60, lambda _: None)


def test_a_failed_one_shot_says_why(supervisor: Supervisor) -> None:
    """A program that should end well and does not is an error at once."""
    migrate = Process("migrate", ("sh", "-c", "echo table is broken; exit 1"), once=True)
    started(supervisor, migrate)
    with pytest.raises(Unavailable, match="migrate does not start: table is broken"):
        health.wait_ready({"migrate": migrate}, supervisor.states, 60, lambda _: None)


def test_waiting_names_what_is_not_ready(supervisor: Supervisor) -> None:
    """When time is up, the error lists who is not ready and what it answers."""
    silent = Process("silent", ("sleep", "600"), ready="http://127.0.0.1:9/health")
    started(supervisor, silent)
    with pytest.raises(Unavailable, match=r"silent: http://127.0.0.1:9/health does not answer"):
        health.wait_ready({"silent": silent}, supervisor.states, 0.5, lambda _: None)
