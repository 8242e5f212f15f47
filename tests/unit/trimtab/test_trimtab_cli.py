import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from trimtab.cli import COMMANDS, cli, main
from trimtab.stack import prepare

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line as a shell would: exit code, stdout, stderr."""

    def run(*argv: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trimtab", *map(str, argv)])
        code = 0
        try:
            main()
        except SystemExit as done:
            code = int(done.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    """The help of every command ends in something to copy."""
    result: Result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Example:\n\s+trimtab {name}", result.output)


def test_the_help_lists_every_command_and_imports_no_room() -> None:
    """The help costs no import of anything heavy."""
    script = "import sys; from trimtab.cli import cli; "
    script += "cli(['--help'], standalone_mode=False); print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert not set(json.loads(done.stdout.splitlines()[-1].replace("'", '"'))) & {
        "pydantic",
        "pandas",
        "httpx",
    }


def test_good_files_are_good(run: Callable[..., tuple[int, str, str]]) -> None:
    """Validating the shipped models exits 0 and names them."""
    code, out, _ = run("validate", MODELS)
    assert (code, "flights" in out) == (0, True)


def test_all_problems_of_all_files_come_at_once(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Bad files exit 2; each problem is a line on stderr, and JSON on stdout where asked for."""
    (tmp_path / "a.yaml").write_text("model: a\ntask: guess\n")
    (tmp_path / "b.yaml").write_text("model: b\n")
    code, out, err = run("validate", tmp_path, "--json")
    assert code == 2
    problems = json.loads(out)["problems"]
    assert {Path(problem["where"].split(":")[0]).name for problem in problems} == {"a.yaml", "b.yaml"}
    assert all(problem["must"] in err for problem in problems)


def test_two_files_may_not_name_one_model(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A model that two files name is a problem."""
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text((MODELS / "flights.yaml").read_text())
    code, _, err = run("validate", tmp_path / "one.yaml", tmp_path / "two.yaml")
    assert (code, "must be named by one file" in err) == (2, True)


def test_the_schema_is_json(run: Callable[..., tuple[int, str, str]]) -> None:
    """The schema on stdout is a JSON document that knows the keys of a model."""
    code, out, _ = run("schema")
    assert (code, "features" in json.loads(out)["properties"]) == (0, True)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("validate", "nowhere.yaml"), "must be a readable UTF-8 YAML file"),
        (("status", "--home", "nowhere"), "trimtab up --home"),
        (("down", "--home", "nowhere"), "trimtab up --home"),
        (("serve", "nobody", "--slot", "blue"), "There is no model 'nobody'"),
        (("serve", "flights", "--slot", "red"), "'red' is not one of 'blue', 'green'"),
        (("fly",), "No such command 'fly'"),
    ],
)
def test_bad_input_is_one_clear_text(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
    told: str,
) -> None:
    """Bad input exits 2 with a text on stderr, nothing on stdout and no traceback."""
    monkeypatch.setenv("TRIMTAB_MODELS", str(MODELS))
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_an_absent_server_is_a_no(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An outside system that does not answer exits 1, not 2: the input was fine."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "airflow").write_text("password")
    monkeypatch.setenv("TRIMTAB_AIRFLOW_URL", "http://127.0.0.1:9")
    code, out, err = run("retrain", "flights", "--home", tmp_path, "--models", MODELS)
    assert (code, out) == (1, "")
    assert "did not answer" in err


def test_labels_come_in(run: Callable[..., tuple[int, str, str]], world: Any) -> None:
    """Labels of known predictions are appended and counted."""
    world.write_log([{"prediction_id": "p0"}, {"prediction_id": "p1"}])
    file = world.settings.home / "labels.csv"
    pd.DataFrame({"order_id": ["p0", "p1"], "returned": [1, 0]}).to_csv(file, index=False)
    where = ("--home", world.settings.home, "--models", world.settings.models)
    code, out, _ = run("labels", "append", "shop", file, *where, "--json")
    assert (code, json.loads(out)["rows"]) == (0, 2)


def test_unknown_predictions_are_refused_unless_allowed(
    run: Callable[..., tuple[int, str, str]], world: Any
) -> None:
    """A label for a prediction that the log does not have is a mistake, unless one says otherwise."""
    file = world.settings.home / "labels.csv"
    pd.DataFrame({"order_id": ["nobody"], "returned": [1]}).to_csv(file, index=False)
    where = ("--home", world.settings.home, "--models", world.settings.models)
    code, _, err = run("labels", "append", "shop", file, *where)
    assert (code, "nobody" in err) == (2, True)
    assert run("labels", "append", "shop", file, *where, "--allow-unknown")[0] == 0


def test_the_answer_no_is_exit_code_1(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A stack that is prepared and does not run makes `status` say so and exit 1, for scripts."""
    prepare(tmp_path / "home", MODELS, announce=lambda _: None)

    code, out, _ = run("status", "--home", tmp_path / "home")

    assert (code, "not running" in out) == (1, True)
