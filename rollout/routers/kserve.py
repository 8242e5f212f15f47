"""Traffic through KServe: the percentage of an InferenceService's latest revision."""

from __future__ import annotations

from typing import Any

from rollout.routers.declared import DeclaredRouter, Item
from rollout.routers.kubernetes import Kind
from rollout.split import ALL, Split
from spec import Refused

CHAMPION = "trimtab/champion-revision"
"""Annotation: the revision that the champion's slot stands for."""
_MODE = "serving.kserve.io/deploymentMode"
_SERVERLESS = ("Serverless", "Knative")


class KServeRouter(DeclaredRouter):
    """Divides traffic by `canaryTrafficPercent` of serverless InferenceServices.

    KServe divides between the latest ready revision and the one before it that had all traffic. The
    champion's slot stands for the revision that a rollout began from, the other for the other one.
    There is no mirror. In force means: Knative reports the shares at the revisions.
    """

    mirrors = False
    kind = Kind("serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService")

    def _change(self, model: str, item: Item, before: Split, after: Split) -> dict[str, Any]:
        called = f"InferenceService {self._name(model)} of {model}"
        _possible(item, after, called)
        champion = _champion(item, called)
        # Until the first split no slot stands for a revision: a canary names them as it likes.
        named = CHAMPION in _notes(item) or after.settled
        if after.champion != before.champion and named:
            champion = _other(item, champion, called)
        percent = _percent(item, after, champion, called)
        change: dict[str, Any] = {}
        if percent != item["spec"]["predictor"].get("canaryTrafficPercent"):
            change["spec"] = {"predictor": {"canaryTrafficPercent": percent}}
        if champion != _notes(item).get(CHAMPION) and (change or not after.settled or after != before):
            change["metadata"] = {"annotations": {CHAMPION: champion}}
        return change

    def _in_force(self, model: str, item: Item, split: Split) -> bool:
        champion = _champion(item, model)
        shares: dict[str, int] = {}
        for target in _status(item).get("traffic") or ():
            revision = target.get("revisionName", "")
            shares[revision] = shares.get(revision, 0) + (target.get("percent") or 0)
        return shares.get(champion, 0) == split.weights[split.champion] and sum(shares.values()) == ALL

    def _why(self, item: Item) -> str:
        conditions = (item.get("status") or {}).get("conditions") or ()
        bad = [f"{one['type']} {one.get('reason')}: {one.get('message')}" for one in conditions
               if one["status"] != "True"]  # fmt: skip
        return "; ".join(bad) or "the traffic of its status is still another"


def _possible(item: Item, split: Split, called: str) -> None:
    mode = (item.get("status") or {}).get("deploymentMode") or _notes(item).get(_MODE)
    if mode not in (None, *_SERVERLESS):
        msg = f"{called} is deployed as {mode}, where KServe ignores canaryTrafficPercent; use gateway_api."
        raise Refused(msg)
    if split.mirror is not None:
        msg = f"{called} cannot mirror requests: leave shadow out of rollout.steps, or use gateway_api."
        raise Refused(msg)
    if split.sticky is not None or split.testers is not None:
        msg = f"{called} draws every request: it knows neither rollout.sticky nor rollout.testers."
        raise Refused(msg)


def _champion(item: Item, called: str) -> str:
    """Return the champion's revision: the one noted, else the one that has had all traffic last."""
    champion = _notes(item).get(CHAMPION) or _status(item).get("latestRolledoutRevision")
    if not champion:
        msg = f"{called} has no revision that ever took all traffic: it is not serverless, or not ready yet."
        raise Refused(msg)
    return str(champion)


def _other(item: Item, champion: str, called: str) -> str:
    """Return the revision that is not the champion's: the latest, or the one before it."""
    status = _status(item)
    latest, previous = status.get("latestReadyRevision"), status.get("previousRolledoutRevision")
    other = latest if latest != champion else previous
    if not other:
        msg = f"{called} has no revision besides {champion}."
        raise Refused(msg)
    return str(other)


def _percent(item: Item, split: Split, champion: str, called: str) -> int | None:
    """Return the latest revision's share that makes the champion's that of `split`; None for all of it."""
    status = _status(item)
    latest, had_all = status.get("latestReadyRevision"), status.get("latestRolledoutRevision")
    if latest == champion:
        if split.settled:
            return None
        msg = (
            f"{called} has no challenger: its latest ready revision {champion} is the champion's. Change its "
            "storageUri and set canaryTrafficPercent to 0 in the same write; then start the rollout."
        )
        raise Refused(msg)
    percent = split.weights[split.idle]
    rest = status.get("previousRolledoutRevision") if had_all == latest and percent < ALL else had_all
    if percent < ALL and rest != champion:
        msg = f"{called} would send the rest to {rest}, and not to the champion's revision {champion}."
        raise Refused(msg)
    return percent


def _status(item: Item) -> Item:
    components: Item = (item.get("status") or {}).get("components") or {}
    predictor: Item = components.get("predictor") or {}
    return predictor


def _notes(item: Item) -> Item:
    notes: Item = item["metadata"].get("annotations") or {}
    return notes
