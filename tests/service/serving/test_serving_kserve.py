"""KServe's own client. Its package wants an older pandas and psutil than ours, so it has its own interpreter.

``python -m venv FOLDER && FOLDER/bin/pip install kserve``, then set TRIMTAB_KSERVE_PYTHON to its interpreter.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Start = Callable[..., Any]
PYTHON = os.environ.get("TRIMTAB_KSERVE_PYTHON")

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(PYTHON is None, reason="TRIMTAB_KSERVE_PYTHON names no interpreter that has kserve"),
]


def test_kserves_client_is_served(start: Start) -> None:
    """It understands health, readiness, answers in JSON and in bytes, and the text of an error."""
    server = start()
    program = [str(PYTHON), str(Path(__file__).with_name("kserve_client.py"))]
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
