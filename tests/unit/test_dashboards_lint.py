"""Each rule of the linter, broken on purpose."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from dashboards import lint, overview
from dashboards.queries import panels

CLEAN = overview.dashboard()
Page = dict[str, Any]


def _panel(page: Page, number: int = 0) -> Any:
    return list(panels(page))[number]


def _set_expr(expr: str) -> Callable[[Page], None]:
    return lambda page: _panel(page)["targets"][0].update(expr=expr)


BROKEN: dict[str, tuple[Callable[[Page], Any], str]] = {
    "no datasource variable": (lambda page: page["templating"]["list"].pop(0), "variable named datasource"),
    "stale choice": (lambda page: page["templating"]["list"][-1].update(refresh=1), "must refresh"),
    "long uid": (lambda page: page.update(uid="x" * 41), "must be 1 to 40"),
    "editable": (lambda page: page.update(editable=True), "editable: must be false"),
    "misspelt key": (lambda page: page.update(ttile="It"), "dashboard.ttile: must be what"),
    "misspelt option": (lambda page: _panel(page)["options"].update(grphMode="none"), "options.grphMode"),
    "no tags": (lambda page: page.update(tags=[]), "tags: must be given"),
    "no description": (lambda page: _panel(page).pop("description"), "description: must be given"),
    "no unit": (lambda page: _panel(page)["fieldConfig"]["defaults"].pop("unit"), "unit: must be given"),
    "no query": (lambda page: _panel(page).update(targets=[]), "must ask something"),
    "fixed datasource": (lambda page: _panel(page)["datasource"].update(uid="P1"), "must be ${datasource}"),
    "bare counter": (_set_expr("sum(trimtab_rollouts_total)"), "must read trimtab_rollouts_total in rate"),
    "counter in max_over_time": (_set_expr("max_over_time(trimtab_rollouts_total[$__range])"), "in rate"),
    "fixed range": (_set_expr("rate(trimtab_rollouts_total[5m])"), "must use $__rate_interval"),
    "unknown metric": (_set_expr("trimtab_modl_info"), "Did you mean 'trimtab_model_info'?"),
    "unknown label": (_set_expr('trimtab_model_info{stag="champion"}'), "Did you mean 'stage'?"),
    "outside": (lambda page: _panel(page)["gridPos"].update(x=22), "inside 24 columns"),
    "overlap": (lambda page: _panel(page, 1)["gridPos"].update(_panel(page)["gridPos"]), "must not overlap"),
    "same id": (lambda page: _panel(page).update(id=1), "ids of their own"),
}


def test_clean_page_passes() -> None:
    """A dashboard as it is built has no problems."""
    assert [] == lint(CLEAN)


@pytest.mark.parametrize("what", BROKEN)
def test_broken_page_is_told(what: str) -> None:
    """Every rule finds what breaks it and says so."""
    break_it, words = BROKEN[what]
    page = deepcopy(CLEAN)
    break_it(page)

    assert any(words in str(problem) for problem in lint(page)), lint(page)


@pytest.mark.parametrize(
    "expr",
    [
        "sum by (outcome) (rate(trimtab_rollouts_total[$__rate_interval]))",
        "sum(increase(trimtab_rollouts_total[$__range]))",
        'histogram_quantile(0.9, rate(trimtab_prediction_duration_seconds_bucket{slot="blue"}[$__range]))',
    ],
)
def test_good_query_passes(expr: str) -> None:
    """Rates, increases and the parts of a histogram are no problem."""
    page = deepcopy(CLEAN)
    _set_expr(expr)(page)

    assert [] == lint(page)
