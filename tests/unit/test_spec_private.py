"""Private features: what may be said of them, and the tokens that stand for their values."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

import spec
from spec.private import Tokens
from spec.tables import log_columns

KEY = "0123456789abcdef0123456789abcdef"
HEAD = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> spec.Settings:
    """A home with a key."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/private").write_text(KEY + "\n")
    return spec.Settings.from_env({"TRIMTAB_HOME": str(tmp_path)})


def shop(features: str, more: str = "") -> spec.ModelSpec:
    """A model with these features."""
    return spec.loads(f"{HEAD}features: {{{features}}}\n{more}")


def test_a_token_is_the_cut_hmac_of_name_and_value(settings: spec.Settings) -> None:
    """Anybody with the key can make the token again with RFC 2104's HMAC-SHA256."""
    tokens = Tokens.of(shop("who: {type: categorical, private: tokenize}"), settings)
    digest = hmac.new(KEY.encode(), "who\0Zoë".encode(), hashlib.sha256).hexdigest()

    assert tokens is not None
    assert tokens.of_value("who", "Zoë") == f"{tokens.key_id}:{digest[:32]}"


def test_equal_values_have_equal_tokens_and_others_others(settings: spec.Settings) -> None:
    """Values differ where tokens do; of two features, and of two keys, none are alike; null stays null."""
    model = shop("who: {type: categorical, private: tokenize}, whom: {type: categorical, private: tokenize}")
    tokens = Tokens.of(model, settings)
    settings.private_key_file.write_text(KEY[::-1])
    others = Tokens.of(model, settings)

    assert tokens is not None
    assert others is not None
    made = [tokens.of_value("who", "Ada"), tokens.of_value("whom", "Ada"), others.of_value("who", "Ada")]
    made += [tokens.of_value("who", "ada")]
    assert len(set(made)) == 4
    assert tokens.of_value("who", "Ada") == made[0]
    assert [tokens.of_value("who", null) for null in (None, "")] == [None, ""]


def test_a_token_of_the_key_stays_and_another_does_not(settings: spec.Settings) -> None:
    """Rows that hold tokens may be given again; what only looks like a token is hashed like anything else."""
    model = shop("who: {type: categorical, private: tokenize}")
    tokens = Tokens.of(model, settings)
    assert tokens is not None
    token = tokens.of_value("who", "Ada")
    assert token is not None
    stranger = f"00000000:{token.partition(':')[2]}"

    assert tokens.of_value("who", token) == token
    assert tokens.of_value("who", stranger) not in {token, stranger}
    assert tokens.foreign([token, None, stranger, "Ada"]) == 2


def test_the_key_is_never_shown(settings: spec.Settings) -> None:
    """Neither what a debugger prints nor an error about a bad key holds it."""
    model = shop("who: {type: categorical, private: tokenize}")
    assert KEY not in repr(Tokens.of(model, settings))
    settings.private_key_file.write_text("tooshort")

    with pytest.raises(spec.SettingsError, match="at least 32 characters") as caught:
        Tokens.of(model, settings)
    assert "tooshort" not in str(caught.value)


def test_a_missing_key_is_one_clear_error(settings: spec.Settings) -> None:
    """It names the variable, the file, the feature, and how a key is made; without tokens none is needed."""
    settings.private_key_file.unlink()

    assert Tokens.of(shop("who: categorical"), settings) is None
    with pytest.raises(spec.SettingsError) as caught:
        Tokens.of(shop("who: {type: categorical, private: tokenize}"), settings)
    (problem,) = caught.value.problems
    assert f"TRIMTAB_PRIVATE_KEY_FILE: {settings.private_key_file}" == problem.where
    assert "who of shop" in problem.hint
    assert "openssl rand -hex 32" in problem.hint


def test_a_dropped_feature_is_an_input_and_no_column() -> None:
    """The model has it; the log, and what reads the log, does not."""
    model = shop("age: {type: numeric, private: drop}, size: numeric", "retrain: {on: []}")

    assert list(model.features) == ["age", "size"]
    assert list(model.logged.features) == ["size"]
    assert "f_age" not in log_columns(model)
    assert log_columns(model) == log_columns(model.logged)


def test_a_tokenized_feature_is_a_column_as_before() -> None:
    """Tokens are categories: the log's columns are those of the same model without privacy."""
    assert log_columns(shop("who: {type: categorical, private: tokenize}")) == log_columns(
        shop("who: categorical")
    )


@pytest.mark.parametrize(
    ("features", "more", "problem"),
    [
        ("a: {type: numeric, private: tokenize}", "", "only a categorical feature has tokens"),
        ("a: {type: categorical, private: tokenize, values: [x]}", "", "the log holds tokens"),
        ("a: {type: numeric, private: hide}, b: numeric", "", "must be a known name"),
        ("a: {type: numeric, private: drop}, b: numeric", "", "retrain.on: must be"),
        ("a: {type: numeric, private: drop}", "retrain: {on: []}", "must leave a feature in the log"),
        (
            "a: {type: categorical, private: drop, protected: true}, b: numeric",
            "retrain: {on: []}",
            "groups of a dropped feature",
        ),
        (
            "a: {type: categorical, private: drop}, b: numeric",
            "retrain: {on: []}\nmonitor: {slices: {by: [a]}}",
            "must name features that the log holds",
        ),
    ],
)
def test_what_privacy_makes_impossible_is_refused(features: str, more: str, problem: str) -> None:
    """Each contradiction is told with what must hold, when the file is read."""
    with pytest.raises(spec.SpecError, match=problem):
        shop(features, more)
