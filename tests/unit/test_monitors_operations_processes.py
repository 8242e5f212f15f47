from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from monitors.operations import machine
from monitors.operations.processes import Sampler, Usage
from monitors.operations.stack import Stack
from spec import loads

SHOP = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
""")
READY = "print('ready', flush=True); import sys; sys.stdin.read()"


@contextmanager
def process(code: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process with just this environment that says when it is ready and ends with its stdin."""
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.stdin.close()
        child.wait(timeout=10)
        child.stdout.close()


def by_name(usage: tuple[Usage, ...]) -> dict[str, Usage]:
    """Usage by process."""
    return {one.process: one for one in usage}


def test_a_process_of_the_stack_is_named_by_its_environment(tmp_path: Path) -> None:
    """TRIMTAB_PROCESS names a process, SUPERVISOR_PROCESS_NAME does where it is missing."""
    home = {"TRIMTAB_HOME": str(tmp_path)}
    with (
        process(READY, TRIMTAB_PROCESS="gateway", SUPERVISOR_PROCESS_NAME="x", **home),
        process(READY, SUPERVISOR_PROCESS_NAME="monitor", **home),
        process(READY, **home),
    ):
        usage = by_name(Sampler(tmp_path).sample())

    assert set(usage) == {"gateway", "monitor", "other"}
    assert all(one.resident_bytes > 1_000_000 and one.cpu_seconds >= 0 for one in usage.values())


def test_a_foreign_server_of_the_stack_is_counted(tmp_path: Path) -> None:
    """Envoy or MLflow know no TRIMTAB_HOME: what every process of a stack carries is TRIMTAB_STACK."""
    with (
        process(READY, TRIMTAB_STACK=str(tmp_path), SUPERVISOR_PROCESS_NAME="envoy"),
        process(READY, TRIMTAB_STACK=str(tmp_path / "other"), SUPERVISOR_PROCESS_NAME="mlflow"),
    ):
        assert set(by_name(Sampler(tmp_path).sample())) == {"envoy"}


def test_processes_of_another_stack_are_not_counted(tmp_path: Path) -> None:
    """Two stacks on one machine do not see each other."""
    with process(READY, TRIMTAB_HOME=str(tmp_path / "other"), TRIMTAB_PROCESS="gateway"):
        assert Sampler(tmp_path / "mine").sample() == ()


def test_a_child_counts_as_its_parent(tmp_path: Path) -> None:
    """A process without the stack's environment belongs to the process that started it."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {READY!r}], env={{}})"
    with process(code, TRIMTAB_HOME=str(tmp_path), TRIMTAB_PROCESS="server") as parent:
        alone = by_name(Sampler(tmp_path).sample())["server"].resident_bytes
        own = psutil.Process(parent.pid).memory_info().rss

    assert alone > 1.5 * own


def test_the_time_of_children_that_ended_is_kept(tmp_path: Path) -> None:
    """CPU seconds are a counter: they do not fall when a child ends."""
    burn = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); {READY}"
    with process(code, TRIMTAB_HOME=str(tmp_path), TRIMTAB_PROCESS="server"):
        assert by_name(Sampler(tmp_path).sample())["server"].cpu_seconds >= 0.3


def test_a_process_that_set_its_title_keeps_its_name(tmp_path: Path) -> None:
    """A title overwrites the environment; a sampler that saw the process before still knows its name."""
    pytest.importorskip("setproctitle")
    code = (
        "import sys, setproctitle; print('ready', flush=True); sys.stdin.readline();"
        "setproctitle.setproctitle('a title ' * 100); print('done', flush=True); sys.stdin.read()"
    )
    with process(code, TRIMTAB_HOME=str(tmp_path), TRIMTAB_PROCESS="scheduler") as child:
        sampler = Sampler(tmp_path)
        before = set(by_name(sampler.sample()))
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        after = set(by_name(sampler.sample()))

    assert (before, after) == ({"scheduler"}, {"scheduler"})


def test_a_sample_is_cheap(tmp_path: Path) -> None:
    """Looking at every process of the machine takes less than a quarter of a second of CPU."""
    sampler = Sampler(tmp_path)
    sampler.sample()

    started = time.process_time()
    sampler.sample()

    assert time.process_time() - started < 0.25


def test_what_is_written_to_the_disk_is_counted(tmp_path: Path) -> None:
    """A megabyte that was forced to the disk shows among the bytes written."""
    code = (
        "import os; file = open(os.environ['FILE'], 'wb'); file.write(bytes(2**20)); file.flush(); "
        f"os.fsync(file.fileno()); {READY}"
    )
    with process(
        code, TRIMTAB_HOME=str(tmp_path), TRIMTAB_PROCESS="server", FILE=str(tmp_path / "file")
    ) as one:
        usage = by_name(Sampler(tmp_path).sample())["server"]

    assert usage.written_bytes >= 2**20
    assert usage.pids == (one.pid,)


def test_the_version_in_a_slot_is_charged_for_its_process(tmp_path: Path) -> None:
    """A slot's process by name, its version by the state file, CPU time by the kernel, joules by it all."""
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "shop-blue.json").write_text('{"version": "7"}', "utf-8")
    burn = (
        "import sys, time; print('ready', flush=True); sys.stdin.readline()\n"
        "while time.process_time() < 0.5: pass\n"
        "print('done', flush=True); sys.stdin.read()"
    )
    with process(burn, TRIMTAB_STACK=str(tmp_path), SUPERVISOR_PROCESS_NAME="shop-blue") as child:
        stack = Stack(tmp_path)
        stack.look([SHOP])
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        (found,) = stack.look([SHOP]).slots

    assert (found.model, found.version, found.slot) == ("shop", "7", "blue")
    assert 0.3 < found.cpu_seconds < 0.7
    assert sum(found.joules.values()) > 0


def test_the_machine_is_busier_than_any_process_of_it() -> None:
    """Busy time grows by what a process uses, bytes never fall, and memory in use is less than there is."""
    before = machine.look()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    after = machine.look()

    assert after.busy_seconds - before.busy_seconds > 0.15
    assert after.received_bytes >= before.received_bytes
    assert after.sent_bytes >= before.sent_bytes
    assert 0 < after.memory_used_bytes < psutil.virtual_memory().total
