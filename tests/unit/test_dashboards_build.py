"""Files, addresses and the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboards import build, frame
from dashboards.__main__ import main
from spec import SpecError

MODELS = Path(__file__).parents[2] / "models"


def test_uid_is_the_models_name() -> None:
    """A model's dashboard keeps the address trimtab-<model>."""
    assert "trimtab-flights" == frame.uid("flights")


def test_long_names_keep_apart() -> None:
    """Names too long for Grafana are cut, and two that share a beginning still differ."""
    one, other = (frame.uid("m" * 50 + end) for end in "ab")

    assert (40, 40) == (len(one), len(other))
    assert one != other


@pytest.mark.parametrize("generic", [frame.ANY_MODEL_UID, frame.OVERVIEW_UID])
def test_no_model_takes_a_generic_address(generic: str) -> None:
    """No model's name can make the address of the overview: model names hold no hyphen."""
    assert "-" in generic.removeprefix("trimtab-")


def test_build_writes_one_a_model_and_the_generic_ones(tmp_path: Path) -> None:
    """The command writes every dashboard and prints the files it wrote."""
    result = CliRunner().invoke(
        main, ["build", "--models", str(MODELS), "--out", str(tmp_path), "--since", "now-1h"]
    )

    names = ["trimtab-all-models.json", "trimtab-any-model.json", "trimtab-flights.json"]
    assert (0, names) == (result.exit_code, sorted(file.name for file in tmp_path.iterdir()))
    assert {str(tmp_path / name) for name in names} == set(result.output.split())
    assert all(json.loads(file.read_text("utf-8"))["time"]["from"] == "now-1h" for file in tmp_path.iterdir())


def test_build_refuses_a_bad_folder(tmp_path: Path) -> None:
    """A folder without models is an error of the spec, before anything is written."""
    result = CliRunner().invoke(main, ["build", "--models", str(tmp_path / "no"), "--out", str(tmp_path)])

    assert isinstance(result.exception, SpecError)
    assert [] == list(tmp_path.iterdir())


def test_command_reports_bad_input(tmp_path: Path) -> None:
    """As a program it exits with 2 and says what is wrong, without a traceback."""
    argv = [
        sys.executable,
        "-m",
        "dashboards",
        "build",
        "--models",
        str(tmp_path / "no"),
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: ")
    assert "must be a folder of model YAML files" in done.stderr
    assert "Traceback" not in done.stderr


def test_refresh_drops_what_has_no_original(tmp_path: Path) -> None:
    """Refreshing a checkout copies dashboards and rules into the chart and removes what is gone."""
    rules, packed = tmp_path / "alerts" / "rules", tmp_path / "helm" / "trimtab" / "rules"
    rules.mkdir(parents=True)
    packed.mkdir(parents=True)
    (rules / "new.yaml").write_text("groups: []\n", "utf-8")
    (packed / "old.yaml").write_text("groups: []\n", "utf-8")

    build.refresh(tmp_path)

    assert ["new.yaml"] == [file.name for file in packed.iterdir()]
    assert build.copies(tmp_path).keys() == {
        *packed.iterdir(),
        *(tmp_path / "helm" / "trimtab" / "dashboards").iterdir(),
    }
