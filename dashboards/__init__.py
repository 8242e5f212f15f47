"""Grafana dashboards as code: one a model, one for any model, one for all of them.

The JSON of the last two is committed in ``json/`` and packed into the Helm chart; ``python -m dashboards``
writes all of them.
"""

from dashboards.frame import Surroundings
from dashboards.lint import lint
from dashboards.queries import queries

__all__ = ["Surroundings", "lint", "queries"]
