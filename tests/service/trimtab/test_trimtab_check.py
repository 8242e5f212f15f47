"""`trimtab check` and `trimtab init` as whole processes: what a shell sees."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

import spec

pytestmark = pytest.mark.service

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a folder of its own."""

    def run(*argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        command = [sys.executable, "-m", "trimtab", *map(str, argv)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=surroundings, check=False
        )

    return run


def _table(seed: int, n: int = 2000, shift: float = 0.0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    day = dt.datetime(2026, 1 if not shift else 3, 1, tzinfo=dt.UTC)
    seconds = np.sort(random.integers(0, 20 * 86400, n))
    base = random.normal(size=n)
    return {
        "order_id": [f"o{seed}-{place}" for place in range(n)],
        "at": [day + dt.timedelta(seconds=int(each)) for each in seconds],
        "amount": random.normal(10 + shift * 5, 5, n),
        "age": random.integers(18, 80, n),
        "heat": base,
        "load": base * (1 if not shift else -1) + random.normal(0, 0.3, n),
        "country": random.choice(["DE", "FR", "IT"], n),
        "device": random.choice(["ios", "web", "tv"] if shift else ["ios", "web"], n),
        "member": random.random(n) < 0.5,
        "late": random.random(n) < 0.2 + 0.3 * shift,
    }


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write a reference, the same again, and one that drifted."""
    for name, seed, shift in (("reference", 1, 0.0), ("same", 2, 0.0), ("moved", 3, 1.0)):
        pq.write_table(pa.table(_table(seed, shift=shift)), tmp_path / f"{name}.parquet")
    return tmp_path


@pytest.mark.usefixtures("files")
def test_no_drift_is_0_and_drift_is_1(run: Run) -> None:
    """The exit code is the answer, and the first line of the verdict says it in words."""
    same, moved = (run("check", "reference.parquet", f"{name}.parquet") for name in ("same", "moved"))
    assert (0, "") == (same.returncode, same.stderr)
    assert "None of 9 columns drifted." in same.stdout
    assert (1, "") == (moved.returncode, moved.stderr)
    assert "device" in moved.stdout
    assert "never in the reference: device: tv" in moved.stdout
    assert "correlations moved: heat × load" in moved.stdout
    assert "order_id (an identifier: nearly every value is another)" in moved.stdout


@pytest.mark.usefixtures("files")
def test_target_time_and_segments_have_their_parts(run: Run) -> None:
    """The target is told apart, the time is a span, and each segment has its row."""
    done = run(
        *("check", "reference.parquet", "moved.parquet", "--target", "late", "--timestamp", "at"),
        *("--segment", "country"),
    )
    assert 1 == done.returncode
    assert "The truth itself moved: late drifted." in done.stdout
    assert "2026-01-01" in done.stdout
    assert "allowed for, by day of 20" in done.stdout
    assert all(f"\n{country} " in done.stdout for country in ("DE", "FR", "IT"))


@pytest.mark.usefixtures("files")
def test_json_on_stdout_is_nothing_but_json(run: Run) -> None:
    """With `--json -` a program reads stdout as it is; the shape has a version."""
    done = run("check", "reference.parquet", "moved.parquet", "--json", "-", "--target", "late")
    told = json.loads(done.stdout)
    assert 1 == told["schema_version"]
    assert told["drift"] is True
    assert {"rows", "file", "span"} == set(told["reference"])
    by_name = {column["name"]: column for column in told["columns"]}
    assert "drift" == by_name["amount"]["verdict"]
    assert 15 == pytest.approx(by_name["amount"]["current"]["mean"], abs=0.5)
    assert "late" == told["target"]["name"]
    assert ["heat", "load"] == told["correlations"]["moved"][0]["columns"]
    assert "tv" in told["unseen"]["device"]["examples"]
    assert told["columns"][0]["drifted"] is True


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1", "COLUMNS": "80"}, {"PYTHONIOENCODING": "ascii", "LANG": "C"}]
)
def test_narrow_colourless_and_ascii_terminals_can_show_it(run: Run, environment: dict[str, str]) -> None:
    """No escape codes in a pipe, no line of the table beyond 80 characters, no crash without Unicode."""
    done = run("check", "reference.parquet", "moved.parquet", **environment)
    assert 1 == done.returncode
    assert "\x1b" not in done.stdout
    assert "amount" in done.stdout
    if "COLUMNS" in environment:
        table = done.stdout.split("column ")[1].split("\n\n")[0]
        assert all(len(line) <= 80 for line in table.splitlines())


class _Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what a test asks for."""

    VOID = frozenset({"meta", "input", "br", "rect", "path", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what is open and what is named."""
        found = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [found["href"] or ""] if "href" in found else []
        self.sources += [value or "" for name, value in attrs if name in {"src", "srcset", "data", "action"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the names of what closes itself."""
        del tag
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        """Keep the headings."""
        if self.open and self.open[-1] in {"h1", "h2", "h3"}:
            self.headings.append(data.strip())


@pytest.mark.usefixtures("files")
def test_the_page_is_whole_and_needs_no_network(run: Run, files: Path) -> None:
    """The page is well-formed, small, names every column, and loads nothing from anywhere."""
    done = run("check", "reference.parquet", "moved.parquet", "--html", "drift.html", "--target", "late")
    assert "written: drift.html" in done.stderr
    text = (files / "drift.html").read_text("utf-8")
    page = _Page()
    page.feed(text)
    page.close()
    assert [] == page.open
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert [] == page.sources
    assert not any(word in text for word in ("http://", "https://", "url(", "@import", "NaN"))
    assert {"amount", "Target", "Correlations that moved"} <= set(page.headings)
    assert len(text) < 150_000


def test_a_wide_page_stays_small_and_hostile_names_stay_text(run: Run, tmp_path: Path) -> None:
    """A thousand columns are no 100 MB, and a column's name or value is never markup."""
    random = np.random.default_rng(0)
    name, value = "<script>alert(1)</script>", '"><img src=x>'
    for file in ("a", "b"):
        columns: dict[str, Any] = {f"x{place}": random.normal(size=300) for place in range(1000)}
        pq.write_table(pa.table(columns | {name: [value, "b"] * 150}), tmp_path / f"{file}.parquet")
    done = run("check", "a.parquet", "b.parquet", "--html", "wide.html")
    assert done.returncode in {0, 1}, done.stderr
    text = (tmp_path / "wide.html").read_text("utf-8")
    assert len(text) < 3_000_000
    assert name not in text
    assert value not in text
    assert "more columns without drift; --all shows them" in done.stdout


@pytest.mark.usefixtures("files")
def test_evidently_writes_its_own_report(run: Run, files: Path) -> None:
    """`--evidently` leaves Evidently's HTML of a sample."""
    done = run(
        "check", "reference.parquet", "moved.parquet", "--evidently", "theirs.html", "--target", "late"
    )
    assert 1 == done.returncode, done.stderr
    assert "Drift" in (files / "theirs.html").read_text("utf-8")


def test_texts_are_compared_by_their_words(run: Run, tmp_path: Path) -> None:
    """Texts of the same length about something else are drift, and the words that tell are named."""
    random = np.random.default_rng(0)
    for file, words in (("a", ["late", "kind", "good", "slow"]), ("b", ["late", "kind", "good", "heat"])):
        texts = [" ".join(random.choice(words, 6)) + f" {place}" for place in range(400)]
        pq.write_table(pa.table({"note": texts, "x": random.normal(size=400)}), tmp_path / f"{file}.parquet")
    done = run("check", "a.parquet", "b.parquet")
    assert 1 == done.returncode, done.stderr
    assert "words changed: note" in done.stdout
    assert "heat" in done.stdout
    assert 0 == run("check", "a.parquet", "b.parquet", "--no-words").returncode


def test_bad_input_is_2_with_every_problem(run: Run) -> None:
    """Bad input exits 2, says all that is wrong on stderr, and nothing on stdout."""
    done = run("check", "nowhere.parquet", "gone.csv")
    assert (2, "") == (done.returncode, done.stdout)
    assert all(f"{name}: must exist" in done.stderr for name in ("nowhere.parquet", "gone.csv"))
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("files")
def test_csv_and_folders_say_the_same_as_parquet(run: Run, files: Path) -> None:
    """The form of the file does not change the answer."""
    for name in ("reference", "moved"):
        table = pq.read_table(files / f"{name}.parquet").drop_columns(["at", "order_id"])
        pcsv.write_csv(table, files / f"{name}.csv")
        (files / name).mkdir()
        for part in range(2):
            pq.write_table(table.slice(part * 1000, 1000), files / name / f"{part}.parquet")
    told = [
        json.loads(run("check", f"reference{end}", f"moved{end}", "--json", "-").stdout)["columns"]
        for end in (".csv", "")
    ]
    drifted, others = ({column["name"] for column in columns if column["drifted"]} for columns in told)
    assert {"amount", "device", "late"} <= drifted
    assert drifted == others


@pytest.mark.usefixtures("files")
def test_a_model_says_what_to_compare(run: Run, files: Path) -> None:
    """`--spec` brings features, target, time and limits; a file without the target is no fault."""
    assert 0 == run("init", "reference.parquet", "--target", "late", "--out", "shop.yaml").returncode
    done = run("check", "reference.parquet", "moved.parquet", "--spec", "shop.yaml", "--json", "-")
    told = json.loads(done.stdout)
    assert "late" == told["target"]["name"]
    assert set(spec.load(files / "shop.yaml").features) == {column["name"] for column in told["columns"]}
    unlabelled = pq.read_table(files / "moved.parquet").drop_columns(["late"])
    pq.write_table(unlabelled, files / "unlabelled.parquet")
    done = run("check", "reference.parquet", "unlabelled.parquet", "--spec", "shop.yaml", "--json", "-")
    assert json.loads(done.stdout)["target"] is None


@pytest.mark.usefixtures("files")
def test_init_writes_what_validate_takes_and_never_over_a_file(run: Run, files: Path) -> None:
    """The first YAML is valid as it is, its guesses are marked, and a second run is refused."""
    done = run("init", "reference.parquet", "--target", "late", "--out", "shop.yaml")
    assert 0 == done.returncode, done.stderr
    assert 0 == run("validate", "shop.yaml").returncode
    text = (files / "shop.yaml").read_text("utf-8")
    assert "id: order_id  # guessed by its name" in text
    assert "time: at  # guessed: the only column of times" in text
    again = run("init", "reference.parquet", "--target", "late", "--out", "shop.yaml")
    assert 2 == again.returncode
    assert "--out: must be a new file" in again.stderr
    assert text == (files / "shop.yaml").read_text("utf-8")


def test_no_heavy_library_is_imported_for_a_check(files: Path) -> None:
    """A plain check of Parquet files starts at once: without pandas, pydantic, scikit-learn or Evidently."""
    script = (
        "import sys\nfrom trimtab.cli import cli\n"
        "try:\n cli(['check', 'reference.parquet', 'same.parquet'], standalone_mode=False)\n"
        "finally:\n print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=files, check=True
    )
    loaded = set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))
    heavy = {"pandas", "pydantic", "yaml", "deltalake", "sklearn", "scipy.stats", "evidently", "mlflow"}
    assert not loaded & (heavy | {"matplotlib", "httpx", "sqlalchemy", "pyarrow.dataset"})
