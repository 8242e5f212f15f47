"""The gateway: two Envoys on the route files that `rollout` writes, and on one port.

The kernel gives a new connection to either. When one dies, what it had is lost, and the other answers what
comes until it is started again.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollout.routers import envoy
from spec import ModelSpec, Settings
from trimtab.stack import binaries
from trimtab.stack.ports import ENVOYS
from trimtab.stack.processes import PATIENT, Process


def prepare(settings: Settings, specs: Mapping[str, ModelSpec], ports: Mapping[str, int]) -> None:
    """Write the bootstraps, the clusters and the last confirmed routes."""
    envoy.bootstrap(settings, specs, ports["gateway"], *(ports[f"{name}-admin"] for name in ENVOYS))


def processes(settings: Settings) -> list[Process]:
    """Return the Envoys' processes; one worker thread each is plenty for a laptop."""
    binary = binaries.find(binaries.ENVOY)
    return [
        Process(
            name,
            (*envoy.command(settings, binary, number), "--concurrency", "1"),
            ready=f"{settings.envoy_admin_urls[number]}/ready",
            retries=PATIENT,
        )
        for number, name in enumerate(ENVOYS)
    ]
