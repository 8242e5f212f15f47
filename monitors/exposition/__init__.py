"""From specs, results and state to Prometheus' metric families. Pure: nothing is read here.

Names, types and labels are the contract with the alert rules and the dashboards. Only what lives is
given: a version that no longer answers has no series, so that its last value cannot keep an alert firing.
"""

from monitors.exposition.deployments import of_deployments
from monitors.exposition.families import Family, Live, living
from monitors.exposition.harm import limits_of_harm, of_harm
from monitors.exposition.performance import of_performance
from monitors.exposition.resources import of_build, of_resources, of_store
from monitors.exposition.results import of_results
from monitors.exposition.runs import of_events, of_runs
from monitors.exposition.specs import of_specs
from monitors.exposition.triage import of_triage

__all__ = [
    "Family",
    "Live",
    "limits_of_harm",
    "living",
    "of_build",
    "of_deployments",
    "of_events",
    "of_harm",
    "of_performance",
    "of_resources",
    "of_results",
    "of_runs",
    "of_specs",
    "of_store",
    "of_triage",
]
