"""The process beside a model server that commits its log: what survives its death, and the server's."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from deltalake import DeltaTable

import spec
from serving.log import packing
from serving.log.committer import Committed, Committer
from serving.log.spool import Spool

TIDES = spec.loads("""
model: tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric}
""")
NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
PROGRAM = "serving.log.commits"
pytestmark = pytest.mark.service


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Make ended segments of one spool, with a row an id."""
    spool = Spool(tmp_path / "spool", packing.header(TIDES))

    def end(*ids: str, at: datetime = NOW) -> Path:
        time = int(at.timestamp() * 1e6)
        one = np.ones((1, 1))
        for number, each in enumerate(ids):
            request = packing.Request(1, each, None, [time], shadow=False, latency_ms=0.25)
            rows = packing.Rows(spool.boot, number, time, "3", "blue", [request], {}, one, one)
            spool.append(packing.pack(rows))
        return spool.sealed()[-1]

    yield end
    spool.close()


def committer(folder: Path, retention: timedelta | None = None, clock: spec.Clock | None = None) -> Any:
    """One for the table in a folder, closed at the end of a block."""
    return closing(Committer(str(folder / "log"), retention, clock or spec.Clock()))


def ids(folder: Path) -> Counter[str]:
    """How often each id is in the table of a folder."""
    return Counter(DeltaTable(folder / "log").to_pyarrow_table()["prediction_id"].to_pylist())


def processes(parent: int) -> list[psutil.Process]:
    """Those that commit for a process."""
    return [one for one in psutil.Process(parent).children() if PROGRAM in one.cmdline()]


def test_a_process_that_dies_is_started_again(tmp_path: Path, ended: Callable[..., Path]) -> None:
    """What it dies in fails with its exit code; the next try commits, each row once."""
    endless = tmp_path / "endless.spool"
    os.mkfifo(endless)
    with committer(tmp_path) as commits, ThreadPoolExecutor(1) as thread:
        segment = ended("a")
        assert Committed(1, damaged=False, refused=None) == commits.commit(segment)
        (process,) = processes(os.getpid())
        committing = thread.submit(commits.commit, endless)
        with endless.open("wb"):  # it reads by now
            process.kill()
            with pytest.raises(spec.Unavailable, match=r"ended with code -9; the next try starts another"):
                committing.result(30)
        assert [None, None] == [commits.commit(one).refused for one in (segment, ended("b"))]

    assert {"a": 1, "b": 1} == ids(tmp_path)
    assert [] == processes(os.getpid())


def test_a_process_that_dies_in_its_answer_is_told_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line is no answer."""
    half = 'import os, sys; os.write(int(sys.argv[1]), b\'{"rows": 1, "dam\'); raise SystemExit(7)'
    program = [sys.executable, "-c", half]
    monkeypatch.setattr("serving.log.committer._PROGRAM", program)
    with committer(tmp_path) as commits, pytest.raises(spec.Unavailable, match="ended with code 7"):
        commits.commit(tmp_path / "any.spool")


def test_what_is_printed_there_is_no_answer(
    tmp_path: Path, ended: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library may print as it is imported; no answer is taken for another segment's."""
    (tmp_path / "sitecustomize.py").write_text("print('{}', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with committer(tmp_path) as commits:
        assert [1, 2, 3] == [commits.commit(ended(*"abc"[:rows])).rows for rows in (1, 2, 3)]


def test_none_is_started_behind_the_end(
    tmp_path: Path, ended: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed while a commit starts another process, it ends that one too."""
    commits, begun = Committer(str(tmp_path / "log"), None, spec.Clock()), threading.Event()
    (process,) = processes(os.getpid())
    process.kill()
    while process.status() != psutil.STATUS_ZOMBIE:
        threading.Event().wait(0.01)
    started = subprocess.Popen

    def start_late(*arguments: Any, **options: Any) -> Any:
        begun.set()
        threading.Event().wait(0.3)
        return started(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", start_late)
    with ThreadPoolExecutor(1) as thread:
        committing = thread.submit(commits.commit, ended("a"))
        assert begun.wait(30)
        commits.close()
        assert committing.exception(30)

    assert [] == processes(os.getpid())


def test_two_processes_with_one_segment_commit_it_once(tmp_path: Path, ended: Callable[..., Path]) -> None:
    """As when a server was killed and the next one finds segments that a commit is still under way of."""
    segments = [ended(f"{number}-a", f"{number}-b") for number in range(12)]
    start = threading.Barrier(2)
    failed: list[Exception] = []

    def commit_all() -> None:
        with committer(tmp_path) as commits:
            for segment in segments:
                start.wait(30)
                try:
                    commits.commit(segment)
                except spec.Unavailable as error:
                    failed.append(error)

    threads = [threading.Thread(target=commit_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failed
    assert {f"{number}-{row}": 1 for number in range(12) for row in "ab"} == ids(tmp_path)


def test_what_fails_there_is_told_here(
    tmp_path: Path, ended: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A failure has the words and the traceback of the other process, and what it logs is logged here."""
    segment = ended("a", "b")
    content = bytearray(segment.read_bytes())
    content[-3] ^= 1
    segment.write_bytes(content)
    (tmp_path / "log").write_text("a file where the table's folder should be")
    with committer(tmp_path) as commits, caplog.at_level(logging.INFO):
        with pytest.raises(spec.Unavailable, match="log") as failed:
            commits.commit(segment)
        (tmp_path / "log").unlink()
        assert Committed(1, damaged=True, refused=None) == commits.commit(segment)

    assert "serving/log/delta_table.py" in str(failed.value.__cause__)
    assert {"serving.log.spool"} == {record.name for record in caplog.records}
    assert "bytes that are no whole record are ignored" in caplog.text


def test_old_days_are_deleted_by_the_clock_of_a_replay(tmp_path: Path, ended: Callable[..., Path]) -> None:
    """Retention crosses to the other process, and so does the clock that it is judged by."""
    spec.set_clock(tmp_path / "clock", NOW)
    with committer(tmp_path, timedelta(days=2), spec.Clock(tmp_path / "clock")) as commits:
        for number in range(70):
            commits.commit(ended(str(number), at=NOW - timedelta(days=30 if number == 0 else 0)))

    assert {str(number) for number in range(1, 70)} == set(ids(tmp_path))


def test_it_is_deaf_to_signals_from_the_first(tmp_path: Path, ended: Callable[..., Path]) -> None:
    """Signals that reach it with the server, as it starts too, leave it to the last commit."""
    with committer(tmp_path) as commits:
        (process,) = processes(os.getpid())
        for segment in (ended("a"), ended("b")):
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert 1 == commits.commit(segment).rows

        assert [process] == processes(os.getpid())


def test_it_ends_with_its_input(tmp_path: Path) -> None:
    """The end of its input is a good end."""
    table = {"location": str(tmp_path), "retention_s": None, "clock": None}
    command = [sys.executable, "-P", "-m", PROGRAM, "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        print(json.dumps(table), file=process.stdin)
        print(json.dumps(str(tmp_path / "none.spool")), file=process.stdin, flush=True)
        assert "No such file" in process.stdout.readline()
        process.stdin.close()
        assert 0 == process.wait(30)


def test_nothing_is_lost_or_doubled_when_it_is_killed_under_traffic(
    start: Callable[..., Any], ask: Callable[..., Any], home: Path
) -> None:
    """It is killed again and again while requests are answered: none fails, each is logged once."""
    server = start()
    traffic = ask(server)
    for number in range(1, 4):
        while not (found := processes(server.process.pid)):
            threading.Event().wait(0.01)
        traffic.wait_for(number * 300)
        found[0].kill()
        psutil.wait_procs(found, 30)
    assert 0 == server.stop()
    answered = traffic.ended()

    logged = Counter(row["prediction_id"] for row in server.rows())
    assert {} == {identity: logged[identity] for identity in answered if logged[identity] != 1}
    assert [] == list((home / "spool").rglob("*.spool"))


def test_requests_go_first(start: Callable[..., Any]) -> None:
    """On a busy processor the process gets a smaller part than the server that it commits for."""
    server = start()
    (process,) = processes(server.process.pid)
    while process.nice() == 0:
        assert process.is_running()
        threading.Event().wait(0.01)

    assert psutil.Process(server.process.pid).nice() + 5 == process.nice()


def test_it_goes_with_a_server_that_is_killed(start: Callable[..., Any]) -> None:
    """After ``kill -9`` of the server nothing of it is left running."""
    server = start()
    assert 200 == server.infer(secrets.token_hex(4))[0]
    found = processes(server.process.pid)
    server.stop(signal.SIGKILL)

    assert 1 == len(found)
    assert [] == psutil.wait_procs(found, 30)[1]


def test_a_commit_that_hangs_does_not_keep_it(tmp_path: Path) -> None:
    """What reads or writes without an end ends with the input, as it does when the server is killed."""
    endless = tmp_path / "endless.spool"
    os.mkfifo(endless)
    table = {"location": str(tmp_path), "retention_s": None, "clock": None}
    with subprocess.Popen([sys.executable, "-P", "-m", PROGRAM, "1"], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in (table, str(endless))))
        process.stdin.flush()
        with endless.open("wb"):  # it reads by now
            process.stdin.close()
            try:
                assert 0 == process.wait(10)
            finally:
                process.kill()
