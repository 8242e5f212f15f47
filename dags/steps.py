"""What the rollout's tasks do, on the library functions; no Airflow here, and heavy imports inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dags import scheduler
from spec import ModelSpec, NotFound, Refused, Settings, Unavailable

if TYPE_CHECKING:
    from retraining.records import Rollout
    from retraining.registry import Registry
    from rollout.routers import Router
    from rollout.verdict import Verdict


def load_challenger(
    spec: ModelSpec,
    settings: Settings,
    version: str | None,
    announce: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Load a version into the idle slot; return what the steps need to know of the rollout.

    Parameters
    ----------
    version
        By default the challenger.
    announce
        Told the same before the load, which may take minutes.

    Raises
    ------
    NotFound
        No version was named and there is no challenger, or the model has no champion.
    Refused
        The version is the champion already, or the slot to load into has traffic.
    """
    from retraining.registry import Registry
    from rollout import slots

    registry = Registry(settings)
    champion = registry.version(spec.model, "champion")
    challenger = version or registry.version(spec.model, "challenger")
    if champion is None or challenger is None:
        missing = "champion" if champion is None else "challenger"
        msg = f"{spec.model} has no {missing}: register a version first (trimtab retrain {spec.model})"
        raise NotFound(msg)
    if challenger == champion:
        msg = f"version {challenger} of {spec.model} is the champion already"
        raise Refused(msg)
    with slots.held(spec, settings):
        split = _router(settings).read(spec.model)
        if not split.settled:
            msg = f"slot {split.idle} of {spec.model} is not idle ({split}); its rollout must end first"
            raise Refused(msg)
        found = {"challenger": challenger, "champion": champion, "slot": split.idle}
        found["began"] = settings.clock.now().isoformat()
        if announce is not None:
            announce(found)
        slots.load(spec, settings, split.idle, challenger)
    return found | {"began": settings.clock.now().isoformat()}


def begin(spec: ModelSpec, settings: Settings, step: int, rollout: dict[str, Any]) -> dict[str, str]:
    """Set the traffic of a step; return since when it holds, on the wall and on the clock (ISO 8601).

    Safe to repeat: traffic that is as the step wants it, under a lease that is held, stays.

    Raises
    ------
    Refused
        The lease was lost, a person took the rollout back, or the slot has another version by now.
    Unavailable
        The slot or the results store does not answer, or the slot is empty just now.
    """
    from dags import ending
    from rollout import leases, slots
    from rollout.split import other
    from rollout.steps import at_step

    router = _router(settings)
    lease_until = datetime.now(UTC) + spec.rollout.lease
    share, champion = spec.rollout.steps[step].share, other(rollout["slot"])
    split = at_step(champion, share, lease_until, spec.rollout, mirrors=router.mirrors)
    current = router.read(spec.model)
    if current.same_routes(split) and not current.lapsed(datetime.now(UTC)):
        leases.renew(router, spec.model, lease_until)
        return _since(settings)
    with slots.held(spec, settings):
        loaded = slots.loaded(spec, settings, rollout["slot"])
        if loaded is None:
            msg = f"slot {rollout['slot']} of {spec.model} is empty just now"
            raise Unavailable(msg)
        if loaded != str(rollout["challenger"]):
            msg = f"slot {rollout['slot']} of {spec.model} has version {loaded} by now"
            raise Refused(msg)
        # Later steps hold a lease, which whoever takes the rollout back has ended.
        if step == 0 and (ended := ending.taken_back(spec.model, settings, rollout)) is not None:
            raise Refused(ended["reason"])
        (leases.begin if step == 0 else leases.advance)(router, spec.model, split)
    return _since(settings)


def renew(spec: ModelSpec, settings: Settings) -> None:
    """Extend the lease of the canary before what may take long; `Refused` if it is lost."""
    from rollout import leases

    leases.renew(_router(settings), spec.model, datetime.now(UTC) + spec.rollout.lease)


def _since(settings: Settings) -> dict[str, str]:
    return {"wall": datetime.now(UTC).isoformat(), "clock": settings.clock.now().isoformat()}


def look(
    spec: ModelSpec,
    settings: Settings,
    step: int,
    rollout: dict[str, Any],
    since: Mapping[str, str],
    alive: Callable[[Settings], datetime] = scheduler.now,
) -> Verdict:
    """Judge a step once; the lease is renewed only by a judge that sees.

    Parameters
    ----------
    since
        What `begin` returned.
    alive
        When somebody was last known to live who acts on a decision: from then on the lease holds.

    Raises
    ------
    Refused
        The lease was lost: the guard has returned the traffic.
    """
    from rollout import leases
    from rollout.evidence import collect
    from rollout.judge import judge

    share = spec.rollout.steps[step].share
    evidence = collect(
        spec,
        settings,
        rollout["challenger"],
        rollout["champion"],
        datetime.fromisoformat(since["wall"]),
        datetime.fromisoformat(since["clock"]),
        share,
        pairs_since=datetime.fromisoformat(rollout["began"]),
    )
    if not evidence.blind:
        leases.renew(_router(settings), spec.model, alive(settings) + spec.rollout.lease)
    return judge(evidence, spec, share)


def promote_challenger(
    spec: ModelSpec,
    settings: Settings,
    rollout: dict[str, Any],
    verdicts: Mapping[str, dict[str, Any] | None],
    said_yes: Sequence[str] = (),
) -> None:
    """Settle the traffic on the challenger's slot, then move the alias; safe to repeat.

    Parameters
    ----------
    verdicts
        The last verdict of each step, by its task, in their order; None where a person marked the step as
        passed. Their gates approve, and the registry keeps them with the version.
    said_yes
        Who was asked before a step and agreed.

    Raises
    ------
    Refused
        The lease was lost: the traffic is back at the champion.
    """
    from retraining.registry import Approval, Registry
    from rollout import leases

    leases.promote(_router(settings), spec.model, rollout["slot"])
    # Forced: what was rolled out may have been named by a person, or a newer challenger may wait by now.
    seen = (gate for verdict in verdicts.values() if verdict for gate in verdict["gates"])
    passed = (gate["gate"] for gate in seen if gate["outcome"] == "pass")
    approval, kept = Approval.by_gates(passed, said_yes), _kept(verdicts)
    Registry(settings).promote(spec.model, rollout["challenger"], approval, rollout=kept, force=True)


def reject_challenger(
    spec: ModelSpec, settings: Settings, rollout: dict[str, Any] | None, ended: dict[str, Any] | None
) -> str:
    """Return all traffic to the champion's slot and keep the verdict with the version; safe to repeat.

    The traffic goes back first and without the registry, which may be what broke. A promotion whose alias has
    moved is not undone. A version that makes room for a newer rollout is not rejected.

    Parameters
    ----------
    rollout
        What `load_challenger` returned; None when loading failed: then nothing was decided on the version.
    ended
        How the last step ended, see `dags.ending`; None when the rollout broke without that.

    Returns
    -------
    One line for people.

    Raises
    ------
    Unavailable
        The registry did not answer; the traffic is back.
    """
    from dags import giving_back
    from dags.ending import SUPERSEDED
    from retraining.registry import Registry
    from rollout import leases

    registry, router = Registry(settings), _router(settings)
    if rollout is None:
        leases.release(router, spec.model)
        return "nothing was rolled out: loading failed; see the log of `load`"
    challenger = str(rollout["challenger"])
    try:
        champion = registry.version(spec.model, "champion")
    except Unavailable:
        giving_back.give_back(router, spec, settings, rollout, None)
        raise
    if champion == challenger:
        return f"version {challenger} is the champion already and stays it"
    giving_back.give_back(router, spec, settings, rollout, champion)
    ended = _taken_back(spec, settings, rollout) or ended
    reason = ended["reason"] if ended else "the rollout broke; see the log of its failed task"
    if ended and ended["decision"] == SUPERSEDED:
        registry.tag(spec.model, challenger, "status", SUPERSEDED)
    else:
        _reject(registry, spec, challenger, reason, ended["verdict"] if ended else None)
    return f"version {challenger}: {reason}"


def _taken_back(spec: ModelSpec, settings: Settings, rollout: dict[str, Any]) -> dict[str, Any] | None:
    """Return the ending by a person, who had the last word; None where the results store cannot say."""
    from dags import ending

    try:
        return ending.taken_back(spec.model, settings, rollout)
    except Unavailable:
        return None


def _reject(
    registry: Registry, spec: ModelSpec, version: str, reason: str, verdict: dict[str, Any] | None
) -> None:
    kept = _kept({str(verdict["step"]): verdict}) if verdict else None
    told = verdict or {"decision": "rollback", "reason": reason}
    registry.reject(spec.model, version, told, rollout=kept)


def _kept(verdicts: Mapping[str, dict[str, Any] | None]) -> Rollout:
    """Return the verdict of each step as the registry keeps it: as data, and in the judge's own words."""
    from retraining.records import Rollout, StepVerdict
    from rollout import steps
    from rollout.verdict import Verdict

    def kept(task: str, said: dict[str, Any] | None) -> StepVerdict:
        if said is None:
            return StepVerdict(step=task, told=(f"{task}: no verdict; a person marked it as passed",))
        verdict = Verdict.model_validate(said)
        return StepVerdict(
            step=steps.name(verdict.step), told=tuple(verdict.summary().splitlines()), verdict=said
        )

    return Rollout(steps=tuple(kept(task, said) for task, said in verdicts.items()))


def _router(settings: Settings) -> Router:
    from rollout.routers import connect
    from spec import load_folder

    return connect(settings, load_folder(settings.models))
