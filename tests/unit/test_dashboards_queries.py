"""Turning a dashboard into PromQL that can be run."""

from typing import Any

import pytest

from dashboards import queries
from spec import InputError


def _page(*exprs: str, variables: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    targets = [{"expr": expr, "refId": str(index)} for index, expr in enumerate(exprs)]
    panels = [{"type": "row"}, {"type": "stat", "title": "It", "targets": targets}]
    return {"panels": panels, "templating": {"list": list(variables)}}


def test_replaces_variables_in_all_their_forms() -> None:
    """`$name`, `${name}` and `${name:format}` all stand for the value."""
    page = _page('a{x="$one", y="${one}", z=~"${one:regex}"}')

    assert ['a{x="1", y="1", z=~"1"}'] == queries(page, {"one": "1"})


def test_replaces_the_variables_of_grafana() -> None:
    """The intervals that Grafana works out take the values that the caller chose."""
    page = _page("rate(a[$__rate_interval]) + increase(a[$__range])")

    assert ["rate(a[30s]) + increase(a[2h])"] == queries(page, rate_interval="30s", span="2h")


def test_constants_and_all_bring_their_values() -> None:
    """A constant has its own value, and a choice that allows all falls back to its pattern for all."""
    constant = {"type": "constant", "name": "one", "query": "1"}
    several = {
        "type": "query",
        "name": "many",
        "query": {"query": "label_values(b, c)"},
        "includeAll": True,
        "allValue": ".*",
    }

    assert ['a{x="1", y=~".*"}', "b"] == queries(
        _page('a{x="$one", y=~"$many"}', variables=(constant, several))
    )


def test_given_values_win() -> None:
    """A value from the caller replaces that of a constant."""
    constant = {"type": "constant", "name": "one", "query": "1"}

    assert ["a{x='2'}"] == queries(_page("a{x='$one'}", variables=(constant,)), {"one": "2"})


def test_repeats_are_dropped() -> None:
    """A query that several panels ask is returned once, in the order of the panels."""
    assert ["b", "a"] == queries(_page("b", "a", "b"))


def test_panels_of_collapsed_rows_and_annotations_count() -> None:
    """What a closed row hides and what annotations ask is returned too."""
    page = _page("a")
    page["panels"][0]["panels"] = [{"type": "stat", "title": "In", "targets": [{"expr": "b", "refId": "A"}]}]
    page["annotations"] = {"list": [{"name": "Built in"}, {"name": "Mine", "expr": "c"}]}

    assert ["b", "a", "c"] == queries(page)


def test_every_missing_variable_is_named() -> None:
    """Variables without a value are an error that names them all and where they stand."""
    with pytest.raises(InputError) as caught:
        queries(_page("a{x='$one'}", "b{y='$two'}"), {"tow": "2"})

    assert ["$one", "$two"] == [problem.found for problem in caught.value.problems]
    assert "panel 'It', query 1" in str(caught.value)
    assert "Did you mean 'tow'?" in str(caught.value)
