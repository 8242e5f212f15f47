from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from monitors.operations.processes import Sampler, Usage

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
