from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from monitors.finding import NoData
from monitors.multivariate.text import Texts, TextVerdict, texts
from spec.errors import DataError

WORDS = np.array(
    "the|a|late|early|train|plane|bus|ticket|price|seat|please|thanks|where|when|why|not".split("|")  # noqa: SIM905
)


def verdict(reference: Texts, current: Texts, unit: str = "words") -> TextVerdict:
    """Return a verdict, which must be one."""
    found = texts(reference, current, unit=unit)  # type: ignore[arg-type]
    assert isinstance(found, TextVerdict)
    return found


def written(rows: int, seed: int, extra: str = "", share: float = 0.0) -> list[str]:
    """Texts of eight words, a share of them with something more."""
    random = np.random.default_rng(seed)
    lines = [" ".join(line) for line in random.choice(WORDS, size=(rows, 8))]
    return [f"{line} {extra}" if random.random() < share else line for line in lines]


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_new_topic_is_seen_and_named(unit: str) -> None:
    """A word that comes up in 40 % of current texts alarms, first of all n-grams, with its shares."""
    found = verdict(written(400, 0), written(400, 1, "refund", 0.4), unit)

    assert found.drifted
    assert found.telling[0].ngram.strip() in "refund"
    assert found.telling[0].pull > 0
    assert found.telling[0].share_reference == 0
    assert pytest.approx(0.4, abs=0.07) == found.telling[0].share_current


def test_what_is_gone_pulls_the_other_way() -> None:
    """A word that current texts lack is named too: what tells is its absence."""
    found = verdict(written(400, 0, "Liège", 0.5), written(400, 1))

    assert found.telling[0].ngram == "liège"
    assert found.telling[0].share_current == 0
    assert found.telling[0].pull > 0


@pytest.mark.parametrize("word", ["łódź", "京都", "привет", "x1"])
def test_words_of_any_script_are_named(word: str) -> None:
    """The slot of a telling word is looked up as scikit-learn hashed it."""
    assert verdict(written(100, 0), written(100, 1, word, 0.8)).telling[0].ngram == word


def test_scripts_without_spaces_are_told_by_characters() -> None:
    """Japanese sentences about another city are told apart."""
    random = np.random.default_rng(0)
    lines = [
        ["東京の天気は" + str(one) for one in random.choice(list("晴雨曇雪"), size=200)] for _ in range(2)
    ]
    moved = [line.replace("東京", "京都") for line in lines[1]]

    assert verdict(lines[0], moved, "characters").auc > 0.99
    assert not verdict(*lines, "characters").drifted  # type: ignore[arg-type]


def test_missing_texts_are_counted_and_left_out() -> None:
    """Nulls, NaN of pandas and all, change nothing but their count."""
    ours, theirs = written(100, 0), written(100, 1)
    found = verdict([*ours, None, None], [None, *theirs, float("nan")])  # type: ignore[list-item]

    assert (2, 2, 100, 100) == (
        found.nulls_reference,
        found.nulls_current,
        found.rows_reference,
        found.rows_current,
    )
    assert verdict(ours, theirs).effect == found.effect


def test_empty_texts_are_counted_and_their_share_is_seen() -> None:
    """When half of the texts become empty the sides can be told apart."""
    current = [line if at % 2 else " …" for at, line in enumerate(written(400, 1))]
    found = verdict(written(400, 0), current)

    assert (0, 200) == (found.empty_reference, found.empty_current)
    assert found.drifted


def test_all_arrow_strings_are_the_same_column() -> None:
    """Plain, large, view, dictionary and chunked strings and a list give the identical verdict."""
    ours, theirs = written(80, 0), written(80, 1)
    expected = verdict(ours, theirs).to_dict()
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert expected == verdict(pa.array(ours, kind), pa.chunked_array([pa.array(theirs, kind)])).to_dict()

    assert expected == verdict(pa.array(ours).dictionary_encode(), theirs).to_dict()


def test_one_absurd_text_is_one_text() -> None:
    """A text of a million words does not hide a topic."""
    current = written(300, 1, "refund", 0.4)
    absurd = [*current, "spam " * 1_000_000]

    assert pytest.approx(verdict(written(300, 0), current).effect, abs=0.05) == (
        verdict(written(300, 0), absurd).effect
    )


def test_half_a_surrogate_pair_is_read() -> None:
    """Broken unicode is a character like another."""
    assert verdict([*written(60, 0), "\ud83d broken"], written(60, 1)).rows_reference == 61


def test_the_order_of_rows_does_not_matter() -> None:
    """Shuffled texts give the identical verdict."""
    ours, theirs = written(80, 0), written(90, 1)

    assert verdict(ours, theirs).to_dict() == verdict(ours[::-1], theirs[::-1]).to_dict()


def test_other_types_are_one_error() -> None:
    """Numbers on one side and mixed values on the other are named together."""
    with pytest.raises(DataError) as caught:
        texts(pa.array([1, 2]), ["a", 2])  # type: ignore[list-item]

    assert ["reference", "current"] == [problem.where for problem in caught.value.problems]


def test_too_few_texts_are_no_data() -> None:
    """Nulls do not count as texts, and texts without a word are no evidence."""
    assert texts(written(60, 0), pa.nulls(60)) == NoData(
        "50 texts a side are needed; reference has 60, current 0"
    )
    assert texts([""] * 60, ["?!"] * 60) == NoData("no text on either side holds a word")
