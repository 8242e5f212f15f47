"""Each version's stage and each slot's share of the traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monitors.exposition.families import VERSION, Family, Live, gauge


def of_deployments(models: Iterable[Live]) -> Iterator[Family]:
    """Give each version's stage and each slot's share of the traffic."""
    info = gauge("model_info", "1 for the stage of a version.", *VERSION, "stage")
    traffic = gauge("canary_traffic_ratio", "Share of the live traffic that a slot gets.", "model", "slot")
    for live in models:
        model = live.spec.model
        for version, stage in sorted(_stages(live).items()):
            info.add_metric((model, version, stage), 1)
        for slot, share in live.deployment.traffic.items():
            traffic.add_metric((model, slot), share)
    yield from (info, traffic)


def _stages(live: Live) -> dict[str, str]:
    """Stage by version; with no slot known, the version that answered most is the champion."""
    answered = [result for result in live.results if result.monitor != "performance"]
    versions = {result.version for result in live.results} | set(live.deployment.versions.values())
    if live.deployment.champion_version is None and answered:
        busiest = max(answered, key=lambda result: (result.start, result.rows)).version
        return {version: "champion" if version == busiest else "previous" for version in versions}
    return {version: live.deployment.stage(version) for version in versions}
