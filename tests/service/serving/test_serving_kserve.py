"""KServe's own client. Its package wants an older pandas and psutil than ours, so it has its own interpreter.

`make test-clients` makes its environment and runs this; from then on it runs with all other tests.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # `bench` is not installed

from bench.peers import environments

Start = Callable[..., Any]

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(not environments.ready("kserve"), reason="`make test-clients` has not been run"),
]


def test_kserves_client_is_served(start: Start) -> None:
    """It understands health, readiness, answers in JSON and in bytes, and the text of an error."""
    server = start()
    program = [str(environments.python("kserve")), str(Path(__file__).with_name("kserve_client.py"))]
    asked = subprocess.run(
        [*program, f"http://127.0.0.1:{server.port}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout.strip().rpartition("\n")[2])
    as_json, as_bytes = told["answers"]

    assert (told["live"], told["ready"], told["model_ready"]) == (True, True, True)
    assert (as_json["id"], as_bytes["id"]) == ("binary-False", "binary-True")
    assert np.shape(as_json["scores"]) == (2, 2)
    np.testing.assert_allclose(as_bytes["scores"], as_json["scores"], rtol=1e-6)
    assert "depth: must be given" in told["error"]
