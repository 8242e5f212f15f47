"""What every dashboard keeps, whichever way it is built."""

from pathlib import Path
from typing import Any

import promql_parser
import pytest

import spec
from dashboards import Surroundings, build, catalogue, frame, lint, queries
from dashboards.queries import expressions
from dashboards.sdk import reread

CHECKOUT = Path(__file__).parents[2]
FLIGHTS = spec.load(CHECKOUT / "models" / "flights.yaml")
PAGES = build.generic() | build.of_models([FLIGHTS])
CHOSEN = {"model": "flights", "metric": "roc_auc"}
NOT_SHOWN = {
    "trimtab_build_info": "an identity, for joins by hand",
    "trimtab_prediction_drift_p_value": "`trimtab_prediction_drifted` holds it against its level",
}


@pytest.fixture(params=sorted(PAGES))
def page(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard's JSON."""
    return PAGES[request.param]


def test_is_clean(page: dict[str, Any]) -> None:
    """No dashboard breaks a rule of the linter."""
    assert [] == lint(page)


def test_is_known_to_grafana(page: dict[str, Any]) -> None:
    """Grafana's own types read the JSON and write it back unchanged, nothing lost and nothing added."""
    assert page == reread(page)


def test_speaks_promql(page: dict[str, Any]) -> None:
    """Every query of every dashboard parses once its variables have values."""
    asked = queries(page, CHOSEN)

    assert asked
    for query in asked:
        promql_parser.parse(query)


def test_has_one_query_a_letter(page: dict[str, Any]) -> None:
    """Queries of a panel have names of their own, which the columns of tables refer to."""
    for panel in page["panels"]:
        letters = [target["refId"] for target in panel.get("targets", [])]

        assert sorted(set(letters)) == letters


def test_links_follow_the_surroundings() -> None:
    """The URLs of Airflow and MLflow are parameters, and reach the links through variables."""
    page = build.generic(Surroundings(airflow_url="https://air", mlflow_url="https://flow"))
    variables = {item["name"]: item for item in page["trimtab-any-model.json"]["templating"]["list"]}
    links = [link["url"] for link in page["trimtab-any-model.json"]["links"] if link["type"] == "link"]

    assert ("https://air", "https://flow") == tuple(
        variables[name]["query"] for name in ("airflow", "mlflow")
    )
    assert [
        "${airflow}/dags/retrain_${model}",
        "${airflow}/dags/rollout_${model}",
        "${mlflow}/#/models/${model}",
    ] == links


def test_model_page_is_fixed_to_its_model() -> None:
    """A model's own dashboard has nothing to choose but the data source, and a stable address."""
    page = PAGES["trimtab-flights.json"]
    choices = [item["name"] for item in page["templating"]["list"] if item["type"] != "constant"]

    assert (["datasource"], "trimtab-flights") == (choices, page["uid"])
    assert any('metric="roc_auc"' in query for query in queries(page))


def test_whole_catalogue_is_shown() -> None:
    """Every metric of the catalogue is on some dashboard, or is left out for a stated reason."""
    asked = " ".join(expr for page in PAGES.values() for _, expr in expressions(page))
    unseen = {name for name in catalogue.CATALOGUE if name not in asked}

    assert set(NOT_SHOWN) == unseen


@pytest.mark.parametrize("name", sorted(build.generic()))
def test_committed_json_is_current(name: str) -> None:
    """The committed JSON is what the code builds; `python -m dashboards refresh` makes it so."""
    committed = (CHECKOUT / "dashboards" / "json" / name).read_text("utf-8")

    assert frame.text(PAGES[name]) == committed


def test_chart_packs_the_same_files() -> None:
    """The chart's dashboards and rules are copies; `python -m dashboards refresh` makes them so."""
    wanted = build.copies(CHECKOUT)
    chart = CHECKOUT / "helm" / "trimtab"
    packed = {file for folder in ("dashboards", "rules") for file in (chart / folder).iterdir()}

    assert set(wanted) == packed
    for copy, original in wanted.items():
        assert original.read_bytes() == copy.read_bytes(), f"{copy} is not {original}"
