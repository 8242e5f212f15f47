"""What supervisord reads: one group, so that it stops its programs together and not one after the other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from configparser import RawConfigParser
from io import StringIO
from pathlib import Path

from trimtab.stack import child
from trimtab.stack.processes import Process

GROUP = "stack"
STEADY_S = 5
"""A process that ends earlier than this after its start did not start."""
_STOP_WAIT_S = 10


def render(plans: Iterable[tuple[Process, Path]], folder: Path, logs: Path, socket: Path) -> str:
    """Return ``supervisord.conf`` for processes and their plans; nothing starts by itself."""
    config = RawConfigParser()
    config["supervisord"] = {
        "nodaemon": "true",
        "logfile": _text(logs / "supervisord.log"),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "pidfile": _text(folder / "supervisord.pid"),
        "childlogdir": _text(logs),
        "umask": "077",
    }
    config["unix_http_server"] = {"file": _text(socket), "chmod": "0700"}
    factory = "supervisor.rpcinterface:make_main_rpcinterface"
    config["rpcinterface:supervisor"] = {"supervisor.rpcinterface_factory": factory}
    names = []
    for process, plan in plans:
        names.append(process.name)
        config[f"program:{process.name}"] = _program(process, plan, logs)
    config[f"group:{GROUP}"] = {"programs": ",".join(names)}
    text = StringIO()
    config.write(text)
    return text.getvalue()


def _program(process: Process, plan: Path, logs: Path) -> dict[str, str]:
    return {
        "command": _text(shlex.join([sys.executable, "-I", child.__file__, str(plan)])),
        "autostart": "false",
        "autorestart": "false" if process.once else "true",
        "startsecs": "0" if process.once else str(STEADY_S),
        "startretries": str(process.retries),
        "stopwaitsecs": str(_STOP_WAIT_S),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _text(logs / f"{process.name}.log"),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "1",
    }


def _text(value: object) -> str:
    """Escape a value against supervisord's ``%(name)s`` expansions."""
    return str(value).replace("%", "%%")
