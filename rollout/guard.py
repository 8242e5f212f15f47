"""The guard: a canary that nobody vouches for any more loses its traffic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from rollout.routers import Router
from rollout.split import Split
from spec import ModelSpec, Settings, TrimtabError

if TYPE_CHECKING:
    from monitors.results.store import Store

INTERVAL_S = 1.0
_log = logging.getLogger(__name__)


class Events(Protocol):
    """Where the guard writes down what it did; `monitors.results.store.Store` is one."""

    def record_event(
        self, model: str, kind: str, text: str, at: datetime, payload: Mapping[str, Any] = ...
    ) -> object:
        """Keep one event."""
        ...


def decide(split: Split, now: datetime) -> Split:
    """Return the split that should be in force at `now` (wall time, aware): it, or the champion's alone."""
    return split.returned() if split.lapsed(now) else split


def run(
    specs: Mapping[str, ModelSpec],
    settings: Settings,
    router: Router,
    *,
    stop: Event,
    events: Events | None = None,
) -> None:
    """Look at every model's lease once a second until `stop` is set.

    An expired lease returns all traffic to the champion and leaves an event of kind ``guard``. What fails for
    one model is logged and tried again a second later; it never keeps another model from its guard. Events
    are written beside it, so neither does a results store that hangs.

    Parameters
    ----------
    events
        Defaults to the results store of `settings`.
    """
    with ExitStack() as stack:
        store = stack.enter_context(_store(settings)) if events is None else events
        writer = stack.enter_context(ThreadPoolExecutor(1, "guard-events"))
        while not stop.is_set():
            look(specs, settings, router, store, aside=writer.submit)
            stop.wait(INTERVAL_S)


def _at_once(do: Callable[..., object], *arguments: object) -> None:
    do(*arguments)


def look(
    models: Iterable[str],
    settings: Settings,
    router: Router,
    events: Events,
    *,
    aside: Callable[..., object] = _at_once,
) -> list[str]:
    """Look at every model once; return those whose traffic went back to the champion.

    Parameters
    ----------
    aside
        Calls its first argument with the others, now or later: how events are written.
    """
    returned = []
    for model in models:
        try:
            taken = _guard(model, router)
            if taken is None:
                continue
            returned.append(model)
            aside(_record, model, taken, settings, events)
        except (TrimtabError, OSError):
            _log.exception("the guard of %s failed and will try again", model)
    return returned


def _guard(model: str, router: Router) -> Split | None:
    """Return the split that was ended; the second look excludes a renewal between the two."""
    if not router.read(model).lapsed(datetime.now(UTC)):
        return None
    ended: list[Split] = []

    def change(split: Split) -> Split:
        after = decide(split, datetime.now(UTC))
        ended[:] = [] if after == split else [split]
        return after

    router.amend(model, change)
    return ended[0] if ended else None


def _record(model: str, taken: Split, settings: Settings, events: Events) -> None:
    text = f"Nobody renewed the lease until {taken.lease_until}: all traffic is back at {taken.champion}."
    _log.warning("%s: %s It was: %s", model, text, taken)
    payload = {"split": taken.model_dump(mode="json")}
    try:
        events.record_event(model, "guard", text, at=settings.clock.now(), payload=payload)
    except Exception:  # noqa: BLE001 - the traffic is safe already, and the other models wait
        _log.exception("the event of %s's guard was not recorded", model)


def _store(settings: Settings) -> Store:
    from monitors.results.store import Store  # noqa: PLC0415 - a guard with other events needs no database

    return Store(settings.results_url)
