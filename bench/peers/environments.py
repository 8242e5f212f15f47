"""Each peer in an environment of its own, because they need different NumPy and pandas; KServe's client, too.

    python bench/peers/environments.py [peer ...]

Environments lie in `.bench` at the root of the repository, or where TRIMTAB_BENCH_HOME says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OURS = "trimtab"
PEERS = tuple(sorted(path.stem for path in HERE.glob("*.txt")))


def home() -> Path:
    """Return the folder of the environments."""
    return Path(os.environ.get("TRIMTAB_BENCH_HOME") or HERE.parents[1] / ".bench")


def python(peer: str) -> Path:
    """Return the interpreter that has `peer`; ours is the one that runs now."""
    return Path(sys.executable) if peer.startswith(OURS) else home() / peer / "bin" / "python"


def ready(peer: str) -> bool:
    """Say whether the environment was made from the pins as they are now."""
    if peer.startswith(OURS):
        return True
    stamp = home() / peer / "pins.txt"
    return stamp.exists() and stamp.read_bytes() == (HERE / f"{peer}.txt").read_bytes()


def make(peer: str) -> None:
    """Make the environment of `peer` unless it stands."""
    if ready(peer):
        return
    uv = Path(sys.executable).with_name("uv")
    program = str(uv) if uv.exists() else "uv"
    pins = HERE / f"{peer}.txt"
    place = home() / peer
    command: list[str | Path] = [program, "venv", "--quiet", "--clear", "--python", sys.executable, place]
    subprocess.run(command, check=True)  # noqa: S603 - uv
    command = [
        program,
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
        python(peer),
        "-r",
        pins,
    ]
    subprocess.run(command, check=True)  # noqa: S603 - uv
    shutil.copy(pins, place / "pins.txt")


if __name__ == "__main__":
    for each in sys.argv[1:] or PEERS:
        make(each)
        print(f"{each}: {python(each)}")
