"""Columns of text: a linear classifier two-sample test on hashed words, and which words tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from monitors.finding import NoData
from monitors.multivariate.cross_fitting import MINIMUM, CrossFit, cross_fit
from monitors.multivariate.linear import discriminant
from monitors.multivariate.verdict import Verdict
from spec.errors import DataError, Problem

Texts: TypeAlias = pa.Array | pa.ChunkedArray | Sequence[str | None]
Unit = Literal["words", "characters"]

_SLOTS = 2**15
_PENALTY = 1.0
_LONGEST = 5000  # characters of a text that are read
_SHOWN = 20
_REMEMBERED = 50  # texts a side and slot that are read again for its n-grams


@dataclass(frozen=True, slots=True)
class Telling:
    """An n-gram that tells the sides apart, and the shares of texts that hold its slot.

    `pull` is by how much it moves the mean score toward current, in [-1, 1]; the n-gram is the most
    frequent one of its slot.
    """

    ngram: str
    pull: float
    share_reference: float
    share_current: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVerdict(Verdict):
    """A `Verdict` whose effect is max(0, 2·AUC - 1), with up to 20 telling n-grams, the largest |pull| first.

    `nulls_*` are texts that are missing; `empty_*` those that are there and hold no n-gram.
    """

    auc: float
    auc_interval: tuple[float, float]
    telling: tuple[Telling, ...]
    nulls_reference: int
    nulls_current: int
    empty_reference: int
    empty_current: int


def texts(
    reference: Texts,
    current: Texts,
    *,
    unit: Unit = "words",
    threshold: float = 0.1,
    alpha: float = 0.05,
    seed: int = 0,
) -> TextVerdict | NoData:
    """Tell whether people write about other things, or otherwise, than in the reference.

    effect = max(0, 2·AUC - 1), the AUC of a ridge discriminant on texts that it has not seen; p-value and
    interval as in `cross_fitting`. A text is the set of its n-grams (one and two words, or three to five
    characters within words), lower case, hashed to 32,768 slots and scaled to length 1. Any language and no
    download; characters suit languages without spaces and text full of typing errors.

    Missing texts are left out and counted. An empty text has no n-gram; a share of them that moves is seen
    through the score of none. Of each text 5,000 characters are read, so one absurd text is one among
    others. The order of rows does not matter. Does not see the order of words beyond two, nor meaning: a
    synonym is another word.

    Returns
    -------
    `NoData` with fewer than 50 texts a side, or if none holds an n-gram.

    Raises
    ------
    DataError
        A column does not hold strings.

    Source: Lopez-Paz, Oquab (2017), Revisiting classifier two-sample tests, ICLR; Weinberger et al. (2009),
    Feature hashing for large scale multitask learning, ICML.
    """
    sides = _strings(reference, current)
    present = [sorted(_readable(text) for text in side if text is not None) for side in sides]
    n, m = map(len, present)
    if min(n, m) < MINIMUM:
        return NoData(f"{MINIMUM} texts a side are needed; reference has {n}, current {m}")
    hasher = _hasher(unit)
    ours, theirs = (hasher.transform(side) for side in present)
    empty = [int((side.getnnz(axis=1) == 0).sum()) for side in (ours, theirs)]
    if empty == [n, m]:
        return NoData("no text on either side holds a word" if unit == "words" else "all texts are empty")
    told = cross_fit(ours, theirs, partial(discriminant, penalty=_PENALTY), stack=sparse.vstack, seed=seed)
    return TextVerdict(
        effect=told.effect,
        interval=told.effect_interval,
        p_value=told.p_value,
        rows_reference=n,
        rows_current=m,
        threshold=threshold,
        alpha=alpha,
        auc=told.auc,
        auc_interval=(told.low, told.high),
        telling=_telling(told, ours, theirs, present, hasher),
        nulls_reference=len(sides[0]) - n,
        nulls_current=len(sides[1]) - m,
        empty_reference=empty[0],
        empty_current=empty[1],
    )


def _strings(reference: Texts, current: Texts) -> list[list[str | None]]:
    sides, problems = [], []
    for where, side in (("reference", reference), ("current", current)):
        array = side if isinstance(side, pa.Array | pa.ChunkedArray) else None
        kind = array.type if array is not None else pa.string()
        kind = kind.value_type if pt.is_dictionary(kind) else kind
        known = pt.is_null(kind) or pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
        listed = (
            array.to_pylist() if array is not None else [None if _missing(text) else text for text in side]
        )
        if not known or not all(text is None or isinstance(text, str) for text in listed):
            problems.append(Problem(where, "must hold strings", str(kind) if not known else "other values"))
        sides.append(listed)
    if problems:
        raise DataError(problems)
    return sides


def _readable(text: str) -> str:
    return text[:_LONGEST].encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair has no UTF-8


def _missing(text: object) -> bool:
    return text is None or text != text  # noqa: PLR0124 - NaN, as pandas marks a missing string


def _hasher(unit: Unit) -> HashingVectorizer:
    kinds: dict[Unit, dict[str, Any]] = {
        "words": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
        "characters": {"analyzer": "char_wb", "ngram_range": (3, 5)},
    }
    return HashingVectorizer(n_features=_SLOTS, alternate_sign=False, binary=True, **kinds[unit])


def _telling(
    told: CrossFit,
    reference: sparse.csr_matrix,
    current: sparse.csr_matrix,
    listed: Sequence[Sequence[str]],
    hasher: HashingVectorizer,
) -> tuple[Telling, ...]:
    """Return the slots whose weight times shift of the mean is largest: what moves the mean score."""
    weights = np.mean([fold.score.weights for fold in told.folds], axis=0)  # type: ignore[attr-defined] # of a linear score
    pull = weights * (_mean(current) - _mean(reference))
    slots = [int(slot) for slot in np.argsort(-np.abs(pull), kind="stable")[:_SHOWN] if pull[slot] != 0]
    shares = [_mean(side[:, slots] > 0) for side in (reference, current)]
    names = _ngrams(slots, (reference, current), listed, hasher)
    return tuple(
        Telling(names[slot], float(pull[slot]), float(shares[0][at]), float(shares[1][at]))
        for at, slot in enumerate(slots)
    )


def _mean(side: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    return np.asarray(side.mean(axis=0), dtype=np.float64).ravel()


def _ngrams(
    slots: Sequence[int],
    sides: Sequence[sparse.csr_matrix],
    listed: Sequence[Sequence[str]],
    hasher: HashingVectorizer,
) -> dict[int, str]:
    """Return the most frequent n-gram of each slot, of up to `_REMEMBERED` texts a side that hold it."""
    analyze = hasher.build_analyzer()
    holders: dict[int, Counter[str]] = {slot: Counter() for slot in slots}
    for side, written in zip(sides, listed, strict=True):
        by_slot = side[:, slots].tocsc()
        for at, slot in enumerate(slots):
            some = by_slot.indices[by_slot.indptr[at] : by_slot.indptr[at + 1]][:_REMEMBERED]
            for row in some:
                holders[slot].update(ngram for ngram in set(analyze(written[row])) if _slot(ngram) == slot)
    return {slot: min(seen, key=lambda ngram: (-seen[ngram], ngram)) for slot, seen in holders.items()}


def _slot(ngram: str) -> int:
    """Return where the hasher puts an n-gram: MurmurHash3 of its UTF-8, as scikit-learn does."""
    return int(abs(int(murmurhash3_32(ngram.encode(), seed=0))) % _SLOTS)
