"""Write dashboards as JSON files: those of a folder of models, and the copies that the repository keeps."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dashboards import model, overview
from dashboards.frame import Surroundings, text
from dashboards.sdk import Json
from spec import ModelSpec

CHECKOUT = Path(__file__).resolve().parent.parent


def generic(surroundings: Surroundings | None = None) -> dict[str, Json]:
    """Return the two dashboards that need no spec, by file name."""
    built = (model.dashboard(None, surroundings), overview.dashboard(surroundings))
    return {f"{page['uid']}.json": page for page in built}


def of_models(specs: Iterable[ModelSpec], surroundings: Surroundings | None = None) -> dict[str, Json]:
    """Return one dashboard a model, by file name."""
    built = (model.dashboard(spec, surroundings) for spec in specs)
    return {f"{page['uid']}.json": page for page in built}


def write(pages: dict[str, Json], folder: Path) -> list[Path]:
    """Write the dashboards into a folder, each whole or not at all; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, page in pages.items():
        draft = folder / f".{name}.draft"
        draft.write_text(text(page), "utf-8")
        os.replace(draft, folder / name)
        written.append(folder / name)
    return written


def copies(checkout: Path = CHECKOUT) -> dict[Path, Path]:
    """Files that the chart packs, as {copy: original}: Helm reads nothing outside of its own folder."""
    chart = checkout / "helm" / "trimtab"
    originals = {
        "dashboards": (checkout / "dashboards" / "json").glob("*.json"),
        "rules": (checkout / "alerts" / "rules").glob("*.yaml"),
    }
    return {chart / folder / file.name: file for folder, files in originals.items() for file in sorted(files)}


def refresh(checkout: Path = CHECKOUT) -> list[Path]:
    """Bring the committed JSON and the chart's copies up to date; return the files that are now there."""
    written = write(generic(), checkout / "dashboards" / "json")
    wanted = copies(checkout)
    for folder in ("dashboards", "rules"):
        here = checkout / "helm" / "trimtab" / folder
        here.mkdir(parents=True, exist_ok=True)
        for stale in set(here.iterdir()) - set(wanted):
            stale.unlink()
    for copy, original in wanted.items():
        shutil.copyfile(original, copy)
    return written + list(wanted)
