"""A fitted pipeline in its own library's form, without pickle: what the ONNX graph was made of, to look into.

The file is skops': values and the names of types, no code. A type that skops does not know itself is built
only if it is on the list below, or was named by whoever loads the file. The types of this list are the
learners' own; they hold arrays and numbers. That keeps a file from running code of its choice; it does not
make a tree's arrays sound, so load files of people you know.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path

import skops.io
from lightgbm import LGBMModel
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UnsupportedTypeException

from retraining.learners import xgboost
from spec import DataError, Problem, Refused

FILE, BOOSTER, XGBOOST = "pipeline.skops", "booster.txt", "booster.json"
TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "retraining.graphs.calendar_parts.CalendarParts",
        "retraining.learners.mlp.StandardisedMLPRegressor",
        "retraining.learners.present.Present",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""What a file may hold beside what skops takes for safe: the parts of the learners that we fit."""


def save(pipeline: Pipeline, folder: Path) -> bool:
    """Write ``pipeline.skops`` into a folder, and LightGBM's text or XGBoost's JSON beside it.

    Returns
    -------
    Whether there is a file: skops has no form for a type whose state only pickle could keep.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE}"
    try:
        skops.io.dump(pipeline, draft, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    except UnsupportedTypeException:
        draft.unlink(missing_ok=True)
        return False
    draft.replace(folder / FILE)
    model = pipeline.steps[-1][1]
    if isinstance(model, LGBMModel):
        model.booster_.save_model(str(folder / BOOSTER))
    elif xgboost.is_model(model):
        model.get_booster().save_model(str(folder / XGBOOST))
    return True


def load(file: Path, *, trust: Collection[str] = ()) -> Pipeline:
    """Read a pipeline that `save`, or skops, wrote.

    Parameters
    ----------
    trust
        Names of types that may be built beside `TRUSTED`, such as ``shop.features.Ratio``. What a trusted
        type does when it is built is its own affair: trust code that you have read.

    Raises
    ------
    DataError
        There is no such file, or it is none of skops'.
    Refused
        It holds types that nobody trusts; all are named, and none was built. Or they are of a library that
        is not installed.
    """
    foreign = [name for name in untrusted(file) if name not in {*TRUSTED, *trust}]
    if foreign:
        listed = "".join(f"\n  {name}" for name in foreign)
        flags = " ".join(f"--trust {name}" for name in foreign)
        msg = f"{file} holds types that are not trusted:{listed}\nIf you know who wrote them: {flags}"
        raise Refused(msg)
    try:
        loaded = skops.io.load(file, trusted=untrusted(file))
    except ModuleNotFoundError as error:
        msg = f"{file} needs the package {error.name}, which is not installed"
        raise Refused(msg) from error
    if not isinstance(loaded, Pipeline):
        must = "must hold a fitted sklearn.pipeline.Pipeline"
        raise DataError([Problem(str(file), must, type(loaded).__name__)])
    return loaded


def untrusted(file: Path) -> list[str]:
    """Return the types in a file that skops does not take for safe by itself; nothing is built.

    Raises
    ------
    DataError
        There is no such file, or it is none of skops'.
    """
    try:
        return sorted(skops.io.get_untrusted_types(file=file))
    except FileNotFoundError:
        raise DataError([Problem(str(file), "must be a file", "nothing there")]) from None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        must, hint = "must be a file of skops", "Write it with skops.io.dump; a pickle is never loaded"
        raise DataError([Problem(str(file), must, str(error), hint)]) from error
