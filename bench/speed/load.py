"""The one client of all servers: wrk as fast as they answer, a constant rate where latency is measured.

wrk knows no constant rate, and those of its kind that do are in no registry of Python or Debian, so that
client is ours (`open_loop`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import environments
from bench.peers.client import Failed

_HERE = Path(__file__).parent
_DEBIAN = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")
_CONNECTIONS = 64
_PATIENCE_S = 60


@dataclass(frozen=True)
class Closed:
    """What as many requests at a time as there are connections gave."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Open:
    """Latencies since each request was due, at a constant rate."""

    latencies_ms: list[float]
    failed: int


def write(file: Path, requests: list[bytes]) -> Path:
    """Write whole requests for both clients: a line with the length, then the bytes."""
    file.write_bytes(b"".join(b"%d\n%s" % (len(each), each) for each in requests))
    return file


def closed(port: int, requests: Path, core: int, connections: int, seconds: int) -> Closed:
    """Keep `connections` requests under way."""
    program, environment = _wrk()
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(_HERE / "wrk.lua"), f"http://127.0.0.1:{port}", "--", str(requests)]
    return Closed(**json.loads(_pinned(command, core, seconds, environment).splitlines()[-1]))


def paced(port: int, requests: Path, core: int, rate: float, seconds: int) -> Open:
    """Send `rate` requests a second."""
    command = [sys.executable, str(_HERE / "open_loop.py"), str(port), str(requests)]
    command += [str(rate), str(seconds), str(_CONNECTIONS)]
    return Open(**json.loads(_pinned(command, core, seconds, {})))


def _pinned(command: list[str], core: int, seconds: int, environment: dict[str, str]) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - a client of the bench
        ["taskset", "-c", str(core), *command],  # noqa: S607 - of every Linux
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + _PATIENCE_S,
        env=os.environ | environment,
    )
    if done.returncode:
        message = f"{Path(command[0]).name}: exit {done.returncode}\n{(done.stderr or done.stdout)[-1000:]}"
        raise Failed(message)
    return done.stdout


def _wrk() -> tuple[str, dict[str, str]]:
    """Return wrk and what its environment needs: from PATH, else Debian's, unpacked beside the peers."""
    known = shutil.which("wrk")
    if known:
        return known, {}
    place = environments.home() / "wrk"
    program = place / "usr" / "bin" / "wrk"
    if not program.exists():
        _unpack(place)
    libraries = ":".join(str(found.parent) for found in place.rglob("libluajit*.so.2"))
    return str(program), {"LD_LIBRARY_PATH": libraries}


def _unpack(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    steps: list[list[Any]] = [["apt-get", "download", *_DEBIAN]]
    try:
        subprocess.run(steps[0], cwd=place, check=True, capture_output=True)  # noqa: S603 - Debian's
        for package in place.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, place], check=True, capture_output=True)  # noqa: S603, S607 - as above
    except (OSError, subprocess.CalledProcessError) as error:
        message = "wrk is needed on PATH (Debian: apt install wrk)"
        raise Failed(message) from error
