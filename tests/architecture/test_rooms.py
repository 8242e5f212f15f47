from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))


def test_every_room_is_known_to_every_tool() -> None:
    """The packages on disk, in the wheel, under mypy and under the import contract are the same."""
    on_disk = {path.parent.name for path in Path().glob("*/__init__.py")}
    tools = PROJECT["tool"]

    assert on_disk == set(tools["importlinter"]["root_packages"])
    assert on_disk == set(tools["mypy"]["packages"])
    assert on_disk == {name.rstrip("*") for name in tools["setuptools"]["packages"]["find"]["include"]}


def test_no_room_is_a_junk_drawer() -> None:
    """No module or package is named after nothing."""
    banned = {"utils", "util", "helpers", "common", "core", "base", "manager", "misc"}
    names = {path.stem for room in PROJECT["tool"]["mypy"]["packages"] for path in Path(room).rglob("*")}

    assert not banned & names


def test_files_stay_small() -> None:
    """No source file is longer than 300 lines."""
    rooms = PROJECT["tool"]["mypy"]["packages"]
    long = {
        str(path): lines
        for room in rooms
        for path in Path(room).rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 300
    }

    assert not long


def test_the_lock_names_no_index_and_hashes_everything() -> None:
    """requirements.lock holds hashes and no address."""
    lock = Path("requirements.lock").read_text("utf-8")

    assert "--hash=sha256:" in lock
    assert "://" not in lock


def test_a_model_server_imports_nothing_of_its_log_s_table() -> None:
    """Arrow and Delta, their memory and their threads, are for the process that commits beside it."""
    code = "import sys; from serving import server; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "serving.app" in found.stdout.split()
    assert not {"pyarrow", "deltalake", "pandas", "mlflow"} & set(found.stdout.split())
