"""`trimtab adopt`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spec import DataError, Problem, pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings

if TYPE_CHECKING:
    import pandas as pd

    from retraining.registry import Approval
    from spec import ModelSpec, Settings

_FILE: Any = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model")
@click.argument("file", type=_FILE)
@click.option("--data", type=_FILE, required=True, help="Parquet file of the rows that it was trained on.")
@click.option("--holdout", type=_FILE, help="Parquet file of later rows that it has not seen.")
@click.option("--trust", multiple=True, metavar="TYPE", help="A type in a .skops file that may be built.")
@click.option("--as", "who", metavar="NAME", help="Who approves it; by default the user of this machine.")
@click.option("--reason", default="", help="Why; kept with the version.")
@home_option
@models_option
@json_option
def adopt(  # noqa: PLR0913, PLR0917 - an option each
    model: str,
    file: Path,
    data: Path,
    holdout: Path | None,
    trust: tuple[str, ...],
    who: str | None,
    reason: str,
    home: Path,
    models: Path | None,
    *,
    as_json: bool,
) -> None:
    r"""Make the model in FILE, an ONNX graph or a scikit-learn pipeline of skops, the champion of MODEL.

    The rows have the features, the event time and the target that MODEL's YAML names. Of an ONNX graph
    --holdout is needed: it cannot be fitted again. Of a pipeline it is optional. No pickle is ever loaded; a
    .skops file may hold the types of scikit-learn and LightGBM, and others only if --trust names them.

    \b
    Example:
      trimtab adopt flights model.onnx --data train.parquet --holdout test.parquet
      trimtab adopt flights model.skops --data train.parquet --trust shop.features.Ratio
      trimtab adopt flights model.onnx --data t.parquet --holdout h.parquet --as ada --reason "the audit's"
    """
    from retraining.registry import Approval

    specs, settings = surroundings(home, models)
    spec = pick(specs, model)
    train = _rows(data)
    held = None if holdout is None else _rows(holdout)
    approval = Approval.by_hand(who, reason)
    version = _adopted(spec, settings, file, (train, held), trust, approval)
    told = f"version {version} is the champion of {spec.model}"
    click.echo(json.dumps({"model": spec.model, "version": version}) if as_json else told)


def _adopted(
    spec: ModelSpec,
    settings: Settings,
    file: Path,
    given: tuple[pd.DataFrame, pd.DataFrame | None],
    trust: tuple[str, ...],
    approval: Approval,
) -> str:
    from retraining import adoption, native

    train, held = given
    if file.suffix == ".skops":
        pipeline = native.load(file, trust=trust)
        return adoption.adopt(spec, settings, pipeline, train, held, approval=approval)
    if file.suffix != ".onnx":
        hint = "Convert the model to ONNX, or write it with skops.io.dump"
        raise DataError([Problem(str(file), "must be a .onnx or a .skops file", file.suffix or "none", hint)])
    if held is None:
        hint = "A graph cannot be fitted again on older rows, so what to expect of it needs rows of its own"
        raise DataError([Problem("--holdout", "must name rows that the graph has not seen", "nothing", hint)])
    return adoption.adopt_graph(spec, settings, file, train, held, approval=approval)


def _rows(file: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            [Problem(str(file), "must be a Parquet file", " ".join(str(error).split()))]
        ) from error
