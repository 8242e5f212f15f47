"""Kill the model server at random moments under load; ``make soak-log`` does it a hundred times."""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import spec
from monitors.tables import inference_log

KILLS = int(os.environ.get("TRIMTAB_KILLS", "3"))
SEED = os.environ.get("TRIMTAB_KILLS_SEED") or secrets.token_hex(4)
LONGEST_S = 2.0  # rows are committed every 0.8 s: before, within and after
pytestmark = [pytest.mark.service, pytest.mark.timeout(120 + 30 * KILLS)]


def test_nothing_answered_is_lost_or_doubled_by_kill_9(
    start: Callable[..., Any], ask: Callable[..., Any], home: Path
) -> None:
    """However often a slot, or what commits for it, dies in its traffic, readers see every answer just once.

    Before half of the deaths of a server the process beside it is killed: at once, or some time before.
    """
    rng = random.Random(SEED)  # noqa: S311 - moments, no secrets
    answered: list[str] = []
    for _ in range(KILLS):
        server = start(rng.choice(spec.SLOTS))
        traffic = ask(server, clients=4)
        traffic.wait_for(1)
        threading.Event().wait(rng.uniform(0, LONGEST_S))
        if rng.choice((True, False)):
            for one in psutil.Process(server.process.pid).children():
                one.kill()
            threading.Event().wait(rng.choice((0, rng.uniform(0, LONGEST_S))))
        server.stop(signal.SIGKILL)
        answered += traffic.ended()
    for slot in spec.SLOTS:  # each takes up what it had left
        assert start(slot).stop() == 0

    model = spec.load(home / "tides.yaml")
    log = inference_log.read(model, spec.Settings.from_env({"TRIMTAB_HOME": str(home)}))
    logged = Counter(log["prediction_id"].to_pylist())
    wrong = {identity: logged[identity] for identity in answered if logged[identity] != 1}
    assert {} == wrong, f"of {len(answered)} answers, with TRIMTAB_KILLS_SEED={SEED}"
    assert [] == [*(home / "spool").rglob("*.spool"), *(home / "spool").rglob("*.refused")]
    print(f"\n{KILLS} kills, {len(answered)} answers, seed {SEED}: none lost, none twice")  # noqa: T201
