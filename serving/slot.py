"""Which version a slot answers with: loaded beside the running one, swapped in at once, remembered."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import Counter, Histogram

from serving import loader, provider
from serving.cache import Cache
from serving.metrics import RequestMetrics, ServingMetrics
from serving.model import OnnxModel
from spec import SLOTS, ModelSpec, NotFound, Refused, Settings, TrimtabError, Unavailable

_logger = logging.getLogger(__name__)

_CHAMPION = "champion"
_FIRST_RETRY_S = 2.0
_LAST_RETRY_S = 30.0
_STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Live:
    """The version that answers; `metrics` are its series by origin of the requests."""

    version: str
    model: OnnxModel
    metrics: tuple[RequestMetrics, ...]
    batch_rows: Histogram
    cached_rows: Counter
    cache: Cache | None


class Slot:
    """One slot of one model. Everything but the loading itself happens on the event loop.

    `live` is read once a request: a request is answered whole by one version.

    Parameters
    ----------
    file
        The model to answer with, for ever: no registry is asked, and nothing is remembered. None for the
        versions of the registry.
    """

    def __init__(
        self,
        spec: ModelSpec,
        slot: str,
        settings: Settings,
        metrics: ServingMetrics,
        file: Path | None = None,
    ) -> None:
        self.live: Live | None = None
        self.loading: str | None = None
        """What is being loaded, in words."""
        self.name = slot
        self._spec = spec
        self._file = file
        self._metrics = metrics
        self._mlflow_uri = settings.mlflow_uri
        self._state = settings.home / "slots" / f"{spec.model}-{slot}.json"
        self._folder = self._state.with_suffix("")
        self._told = asyncio.Event()

    def why_not_ready(self) -> str:
        """Say in one sentence why no request is answered."""
        why = f"it is loading {self.loading}" if self.loading else "no version is loaded"
        return f"{self._spec.model} is not ready in slot {self.name}: {why}"

    async def load(self, version: str | None, alias: str = _CHAMPION) -> Live:
        """Load a version (None: the one that `alias` names) and answer with it from then on.

        Raises
        ------
        Refused
            While another load runs; of a server of a file.
        NotFound, DataError, Unavailable
            When it cannot be loaded; what answered before goes on answering.
        """
        self._refuse_with_file()
        live = await self._load(version, alias)
        self._told.set()
        return live

    def unload(self) -> None:
        """Stop answering; a restart stays empty too.

        Raises
        ------
        Refused
            While a load runs; of a server of a file.
        NotFound
            When nothing is loaded.
        """
        self._refuse_with_file()
        self._refuse_while_loading()
        if self.live is None:
            msg = f"Slot {self.name} of {self._spec.model} has no version loaded"
            raise NotFound(msg)
        self._told.set()
        self._remember(None)
        self.live = None
        self._metrics.not_live()

    async def open(self) -> None:
        """Answer with the file, if there is one.

        Raises
        ------
        DataError
            When the spec's requests cannot be answered with it.
        """
        if self._file is not None:
            await self._swap(f"file {self._file}", partial(loader.from_file, self._file))

    async def restore(self) -> None:
        """Load what was loaded before a restart, without the registry; a new blue slot takes the champion.

        An unreachable registry, or one without a champion yet, is asked again until someone loads or
        unloads a version by hand. A slot of a file is left as it is.
        """
        if self._file is not None:
            return
        try:
            remembered = self._remembered()
        except (OSError, ValueError, KeyError, TypeError):
            _logger.exception(
                "%s cannot be read; slot %s stays empty until a version is loaded", self._state, self.name
            )
            return
        if remembered is not None:
            try:
                await self._swap(f"version {remembered.version}", lambda: remembered)
            except TrimtabError:
                _logger.exception("slot %s fetches version %s again", self.name, remembered.version)
                await self._retry(remembered.version)
        elif not self._state.exists() and self.name == SLOTS[0]:
            await self._retry(None)

    async def _retry(self, version: str | None) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._told.is_set():
            try:
                await self._load(version, _CHAMPION)
            except (NotFound, Unavailable, Refused) as error:
                _logger.warning("slot %s stays empty: %s; next try in %.0f s", self.name, error, retry_s)
            except TrimtabError:
                _logger.exception("slot %s stays empty until another version is loaded", self.name)
                return
            else:
                return
            try:
                await asyncio.wait_for(self._told.wait(), retry_s)
            except TimeoutError:
                retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _load(self, version: str | None, alias: str) -> Live:
        fetch = partial(loader.fetch, self._mlflow_uri, self._spec.model, self._folder)
        what = f"version {version}" if version else f"alias {alias}"
        return await self._swap(what, partial(fetch, version=version, alias=alias))

    async def _swap(self, what: str, fetch: Callable[[], loader.Fetched]) -> Live:
        """Answer with what `fetch` gives, from then on."""
        self._refuse_while_loading()
        self.loading = what
        started = time.perf_counter()
        try:
            fetched, model = await asyncio.to_thread(self._prepare, fetch)
        finally:
            self.loading = None
        seconds = time.perf_counter() - started
        version, kept_rows = fetched.version, self._spec.serving.cache
        live = Live(
            version,
            model,
            self._metrics.requests(version),
            self._metrics.batch_rows(version),
            self._metrics.cached_rows(version),
            Cache(kept_rows) if kept_rows else None,
        )
        if self._file is None:
            self._remember(fetched)
        self.live = live
        self._metrics.live(live.version, seconds, model.size_bytes, model.provider)
        if self._file is None:
            loader.keep_only(self._folder, fetched.file)
        _logger.info("slot %s answers with version %s, loaded in %.1f s", self.name, live.version, seconds)
        return live

    def _prepare(self, fetch: Callable[[], loader.Fetched]) -> tuple[loader.Fetched, OnnxModel]:
        fetched = fetch()
        return fetched, provider.load(fetched.file, self._spec)

    def _refuse_with_file(self) -> None:
        if self._file is not None:
            msg = f"This server answers with {self._file} alone; start one without a file to load versions"
            raise Refused(msg)

    def _refuse_while_loading(self) -> None:
        if self.loading is not None:
            msg = (
                f"Slot {self.name} of {self._spec.model} is loading {self.loading}; try again when it is done"
            )
            raise Refused(msg)

    def _remember(self, fetched: loader.Fetched | None) -> None:
        state = {
            "schema_version": _STATE_VERSION,
            "model": self._spec.model,
            "slot": self.name,
            "version": fetched.version if fetched else None,
            "file": str(fetched.file.relative_to(self._folder)) if fetched else None,
        }
        draft = self._state.with_suffix(".draft")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(state), "utf-8")
        os.replace(draft, self._state)

    def _remembered(self) -> loader.Fetched | None:
        if not self._state.exists():
            return None
        state = json.loads(self._state.read_text("utf-8"))
        if state["version"] is None:
            return None
        return loader.Fetched(state["version"], self._folder / state["file"])
