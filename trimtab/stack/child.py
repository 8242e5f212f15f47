"""Become one process of the stack: take its environment, wait for what it needs, die with its parent.

Run by path and isolated (``python -I child.py plan.json``), so that it costs milliseconds and no package
of ours is imported. The plan is a file that only its owner may read, because it holds the environment.
"""

import ctypes
import json
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05


def main() -> None:
    """Replace this process by the one that the plan in ``sys.argv[1]`` describes."""
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs more than this script
        plan = json.load(file)
    # The supervisor leads the session. Whoever is the parent now is not it, if it has died already.
    _die_with(plan["parent"] or os.getsid(0))
    if plan["sweep"]:
        _end_orphans(plan["sweep"])
    for path in plan["after"]:
        while not os.path.exists(path):  # noqa: PTH110 - as above
            time.sleep(_POLL_S)
    os.umask(0o077)
    os.chdir(plan["cwd"])
    os.execvpe(plan["argv"][0], plan["argv"], os.environ | plan["env"])  # noqa: S606 - the stack's own plan


def _die_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; it survives the exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        sys.exit("the parent is gone")


def _end_orphans(file: str) -> None:
    """End what a killed predecessor left behind: its process group, known from the number in `file`.

    Only members of our own session (which the supervisor leads) are touched, so a number that the
    system gave to somebody else does no harm.
    """
    try:
        with open(file, encoding="ascii") as stream:  # noqa: PTH123 - as above
            group = int(stream.read())
    except FileNotFoundError:
        group = 0
    numbers = os.listdir("/proc") if group and sys.platform == "linux" else []  # noqa: PTH208 - as above
    for pid in (int(number) for number in numbers if number.isdigit()):
        try:
            if os.getpgid(pid) == group and os.getsid(pid) == os.getsid(0):
                os.kill(pid, signal.SIGKILL)
        except OSError:  # it ended meanwhile
            continue
    with open(file, "w", encoding="ascii") as stream:  # noqa: PTH123 - as above
        stream.write(str(os.getpid()))


if __name__ == "__main__":
    main()
