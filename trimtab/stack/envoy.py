"""The gateway: Envoy on the route files that `rollout` writes."""

from __future__ import annotations

from collections.abc import Mapping

from rollout.routers import envoy
from spec import ModelSpec, Settings
from trimtab.stack import binaries
from trimtab.stack.processes import PATIENT, Process


def prepare(settings: Settings, specs: Mapping[str, ModelSpec], ports: Mapping[str, int]) -> None:
    """Write the bootstrap, the clusters and the last confirmed routes."""
    envoy.bootstrap(settings, specs, ports["gateway"], ports["envoy-admin"])


def process(settings: Settings) -> Process:
    """Return Envoy's process; one worker thread is plenty for a laptop."""
    argv = envoy.command(settings, binaries.find(binaries.ENVOY))
    return Process(
        "envoy", (*argv, "--concurrency", "1"), ready=f"{settings.envoy_admin_url}/ready", retries=PATIENT
    )
