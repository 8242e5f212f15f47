"""The door to Grafana's foundation SDK, for the schema that every Grafana since 10 reads.

The SDK warns on import that schema v2 is to be preferred. Files and ConfigMaps are provisioned in the
classic schema, so that is what is built here, and the warning is kept from everybody else's terminal.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as build_common
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.builders import heatmap, prometheus, statetimeline, statushistory, timeseries
    from grafana_foundation_sdk.builders import stat as build_stat
    from grafana_foundation_sdk.builders import table as build_table
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import common, dashboard
    from grafana_foundation_sdk.models import heatmap as heatmap_model
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "Json",
    "PromQueryFormat",
    "build",
    "build_common",
    "build_stat",
    "build_table",
    "common",
    "dashboard",
    "encoded",
    "heatmap",
    "heatmap_model",
    "prometheus",
    "reread",
    "statetimeline",
    "statushistory",
    "timeseries",
]

Json = dict[str, Any]
_registered = False


def encoded(page: dashboard.Dashboard) -> Json:
    """Return a dashboard as plain JSON."""
    plain: Json = json.loads(json.dumps(page, cls=JSONEncoder))
    return plain


def reread(page: Json) -> Json:
    """Return what is left of a dashboard's JSON after Grafana's types have read it: what they know of it."""
    global _registered  # noqa: PLW0603 - the SDK keeps its plugins per process, and refuses them twice
    if not _registered:
        register_default_plugins()
        _registered = True
    return encoded(dashboard.Dashboard.from_json(page))
