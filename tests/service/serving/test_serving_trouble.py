"""A full disk, a read-only folder, an object store that fails or hangs: loud, and over by itself."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

pytestmark = pytest.mark.service

Start = Callable[..., Any]
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
HERE = Path(__file__).parent


def mounted(folder: Path) -> tuple[str, ...]:
    """What starts a program that has a small disk of its own at a folder."""
    allowed = subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    if allowed.returncode:
        pytest.skip(f"no mount of one's own here: {allowed.stderr.decode().strip()}")
    folder.mkdir(parents=True, exist_ok=True)
    return (*NAMESPACE, "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', str(folder))


def inside(server: Any, folder: Path) -> Path:
    """The folder as the server sees it."""
    return Path(f"/proc/{server.process.pid}/root") / folder.relative_to("/")


def fill(folder: Path) -> Path:
    """Leave no byte free; give back the file to delete."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def wait_until(true: Callable[[], object]) -> None:
    """Ask again and again; the test's own limit ends it."""
    pause = threading.Event()
    while not true():
        pause.wait(0.05)


def committed(server: Any) -> bool:
    """Whether every answered row is in Delta."""
    return server.metric("trimtab_log_pending_rows") == 0


def refused(server: Any, why: str, folder: Path) -> None:
    """Ask thrice: each time 503 and the reason; told once in the log and counted each time."""
    for number in range(3):
        status, body = server.infer(f"refused-{number}")
        assert (503, True) == (status, f"The inference log cannot be written: {why}" in body["error"])
    assert 3 == server.metric("trimtab_log_write_failures_total")
    assert 1 == server.log.read_text().count(
        f"{folder}/tides-blue takes no rows, so requests are not answered"
    )
    assert "over after" not in server.log.read_text()


def test_a_full_disk_refuses_until_there_is_room(start: Start, home: Path) -> None:
    """What cannot be logged is not answered; with room again the same server answers, and nothing is lost."""
    spool = home / "spool"
    server = start(within=mounted(spool))
    assert 200 == server.infer("before")[0]
    wait_until(lambda: committed(server))
    filler = fill(inside(server, spool))

    refused(server, "No space left on device", spool)

    filler.unlink()
    assert 200 == server.infer("after")[0]
    assert "over after" in server.log.read_text()
    assert 0 == server.stop()
    assert ["after", "before"] == sorted(row["prediction_id"] for row in server.rows())


def test_a_read_only_folder_refuses_until_it_is_writable(start: Start, home: Path) -> None:
    """A disk that the kernel has made read-only is told like a full one, and its end too."""
    spool = home / "spool"
    server = start(within=mounted(spool))
    assert 200 == server.infer("before")[0]
    wait_until(lambda: committed(server))
    there = ["nsenter", "--target", str(server.process.pid), "--user", "--mount", "--preserve-credentials"]
    subprocess.run([*there, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", spool], check=True)
    (inside(server, spool) / "tides-blue").mkdir()
    subprocess.run([*there, "mount", "-o", "remount,ro", spool], check=True)

    refused(server, "Read-only file system", spool)

    subprocess.run([*there, "umount", spool], check=True)
    assert 200 == server.infer("after")[0]
    assert 0 == server.stop()
    assert ["after", "before"] == sorted(row["prediction_id"] for row in server.rows())


def test_a_table_on_a_full_disk_keeps_the_rows_waiting(start: Start, home: Path) -> None:
    """Answers go on and rows wait in the spool, told once; with room again they are committed."""
    table = home / "tides"
    server = start(within=mounted(table))
    filler = fill(inside(server, table))
    for number in range(5):
        assert 200 == server.infer(str(number))[0]
    wait_until(lambda: server.metric("trimtab_log_commit_failures_total") >= 2)

    assert 5 == server.metric("trimtab_log_pending_rows")
    assert 1 == server.log.read_text().count("answered rows do not reach Delta; they stay in the spool:")

    filler.unlink()
    wait_until(lambda: committed(server))
    seen = shutil.copytree(inside(server, table / "log"), home / "seen")
    assert list("01234") == sorted(DeltaTable(seen).to_pyarrow_table()["prediction_id"].to_pylist())


@dataclass
class Bucket:
    """A running object store."""

    port: int

    def becomes(self, weather: str) -> None:
        """``fail``, ``hang`` or ``well``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", f"/-/{weather}")
        assert 204 == connection.getresponse().status
        connection.close()

    @property
    def environment(self) -> dict[str, str]:
        """What tells a client of S3 where it is."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "sea",
            "AWS_SECRET_ACCESS_KEY": "shell",
            "AWS_REGION": "eu-west-1",
        }

    def ids(self) -> list[str]:
        """The predictions of the table."""
        table = DeltaTable("s3://sea/tides/log", storage_options=self.environment)
        return sorted(table.to_pyarrow_table()["prediction_id"].to_pylist())


@pytest.fixture
def bucket(home: Path) -> Iterator[Bucket]:
    """An object store that holds the inference log."""
    file = home / "tides.yaml"
    file.write_text(file.read_text().replace("inference_log: tides/log", "inference_log: s3://sea/tides/log"))
    program = [sys.executable, str(HERE / "object_store.py")]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Bucket(int(process.stdout.readline()))
        process.kill()


@pytest.mark.parametrize("weather", ["fail", "hang"])
def test_answers_do_not_wait_for_an_object_store(start: Start, bucket: Bucket, weather: str) -> None:
    """While the store fails or hangs requests are answered and rows wait; then they arrive, each once."""
    server = start(environment=bucket.environment)
    assert 200 == server.infer("0")[0]
    wait_until(lambda: committed(server))
    bucket.becomes(weather)
    answered = ["0"]
    while len(answered) < 40:
        answered.append(str(len(answered)))
        assert 200 == server.infer(answered[-1])[0]
        threading.Event().wait(0.05)
    assert 39 == server.metric("trimtab_log_pending_rows")

    bucket.becomes("well")
    wait_until(lambda: committed(server))
    assert sorted(answered) == bucket.ids()


def test_a_failing_object_store_is_told_within_a_minute(start: Start, bucket: Bucket) -> None:
    """The client's own retries do not hide it: it is counted and told while the store still fails."""
    server = start(environment=bucket.environment)
    bucket.becomes("fail")
    assert 200 == server.infer("a")[0]

    wait_until(lambda: server.metric("trimtab_log_commit_failures_total"))

    assert 1 == server.log.read_text().count("answered rows do not reach Delta; they stay in the spool:")
    bucket.becomes("well")
    wait_until(lambda: committed(server))
    assert ["a"] == bucket.ids()


def test_a_hanging_object_store_does_not_keep_a_server_from_ending(start: Start, bucket: Bucket) -> None:
    """SIGTERM ends it with 0 while the store answers nothing, told once; the next start commits the rest."""
    server = start(environment=bucket.environment)
    bucket.becomes("hang")
    assert 200 == server.infer("a")[0]
    server.process.terminate()
    assert 0 == server.process.wait(60)
    assert "Delta does not answer; 1 rows stay in the spool for the next start" in server.log.read_text()
    assert 1 == server.log.read_text().count(" stay in the spool")

    bucket.becomes("well")
    again = start(environment=bucket.environment)
    wait_until(lambda: committed(again))
    assert ["a"] == bucket.ids()
