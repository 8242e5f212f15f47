"""Serve what the monitors found to Prometheus, read anew at each scrape."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from monitors import deployment, exposition
from monitors.operations.stack import Stack
from monitors.pace import Pace
from monitors.results.store import Newest, Store
from monitors.revision import code_revision, code_version
from monitors.spec_folder import SpecFolder
from monitors.triage import episodes
from spec.errors import Problem, SettingsError, Unavailable
from spec.model import ModelSpec
from spec.settings import Settings

_log = logging.getLogger(__name__)
MAX_FEATURES = 50
MAX_SLICES = 200
Specs: TypeAlias = Mapping[str, ModelSpec]


class ResultsCollector(Collector):
    """Collects the catalogue of `monitors.exposition` from the results store and the state files.

    It keeps no series of its own, so what is gone from its sources is gone from the next scrape.
    A results store that does not answer costs its series and sets ``trimtab_results_up`` to 0.

    Parameters
    ----------
    specs
        What `settings.models` was read to; the folder is read again when it changes.
    max_features
        Drift scores of this many features a model, those furthest off; the drifted share counts all.
    """

    def __init__(
        self, specs: Specs, settings: Settings, store: Store, *, max_features: int = MAX_FEATURES
    ) -> None:
        self._specs = SpecFolder(specs, settings.models)
        self._home, self._store, self._max_features = settings.home, store, max_features
        self._pace = Pace(settings.clock)
        self._stack = Stack(settings.home)

    def collect(self) -> Iterator[exposition.Family]:
        """Yield every family, of one look at each source."""
        specs = self._specs.current()
        yield exposition.of_build(code_version(), code_revision())
        yield from exposition.of_specs(specs.values())
        yield from exposition.limits_of_harm(specs.values())
        yield from exposition.of_resources(self._stack.look(specs.values()))
        try:
            families = tuple(self._of_results(specs))
        except (Unavailable, SettingsError) as error:
            _log.error("%s", error)
            yield exposition.of_store(is_up=False)
            yield from exposition.of_deployments(_without_results(specs, self._home))
        else:
            yield exposition.of_store(is_up=True)
            yield from families

    def _of_results(self, specs: Specs) -> Iterator[exposition.Family]:
        models = self._live(specs)
        yield from exposition.of_deployments(models)
        yield from exposition.of_results(models, self._max_features)
        yield from exposition.of_performance(models)
        yield from exposition.of_harm(models, MAX_SLICES)
        decided = {
            name: triage for name in specs if (triage := episodes.latest(self._store, name)) is not None
        }
        yield from exposition.of_triage(models, decided)
        intervals = {name: self._pace.wall_seconds(spec.monitor.window) for name, spec in specs.items()}
        yield from exposition.of_runs(specs.values(), self._store.runs(), intervals)
        yield from exposition.of_events(specs.values(), self._store.event_counts())

    def _live(self, specs: Specs) -> tuple[exposition.Live, ...]:
        newest = self._store.newest()
        empty = {live.spec.model: live for live in _without_results(specs, self._home)}
        wanted: list[Newest] = []
        for live in empty.values():
            wanted += exposition.living(live.spec, live.deployment, newest)
        results = self._store.load([entry.id for entry in wanted])
        return tuple(
            exposition.Live(
                live.spec, live.deployment, tuple(result for result in results if result.model == model)
            )
            for model, live in empty.items()
        )


@contextmanager
def serving(specs: Specs, settings: Settings, host: str, port: int) -> Iterator[int]:
    """Serve ``/metrics`` on threads of this process while the context lasts; give the port that was taken.

    Parameters
    ----------
    port
        0 takes a free one.

    Raises
    ------
    SettingsError
        The address cannot be listened on, or the results URL is none.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    with Store(settings.results_url) as store:
        registry.register(ResultsCollector(specs, settings, store))
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            must = "must be an address that this process may listen on"
            raise SettingsError([Problem(f"{host}:{port}", must, error.strerror or str(error))]) from error
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def run(specs: Specs, settings: Settings, host: str, port: int) -> None:
    """Serve ``/metrics`` until SIGTERM or SIGINT; errors as of `serving`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serving(specs, settings, host, port) as taken:
        _log.info("The exporter listens on http://%s:%d/metrics", host, taken)
        stop.wait()


def _without_results(specs: Specs, home: Path) -> tuple[exposition.Live, ...]:
    return tuple(exposition.Live(spec, deployment.read(home, name)) for name, spec in specs.items())
