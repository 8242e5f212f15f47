"""What every long-running command does first: write a readable log, end on a signal."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time


def write_log() -> None:
    """Log to stderr from INFO on, a line a record, in UTC."""
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request


def stop_on_signal() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def stop_at_end_of_input() -> None:
    """Have this process get SIGTERM when standard input ends: whoever holds its other end is gone then."""

    def wait() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock the interpreter wants back at its end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-of-input", daemon=True).start()
