"""Traffic through Envoy, driven by files: write the routes, rename them into place, see them live."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollout.routers import Change, envoy_config
from rollout.routers.envoy_admin import LOG_FLUSH_S, Admin, Word
from rollout.routers.files import RouteFiles
from rollout.split import Split
from spec import ModelSpec, NotFound, Refused, Settings, Unavailable, did_you_mean

CONFIRM_S = 5.0
_POLL_S = 0.01


class EnvoyRouter:
    """Divides traffic with the Envoys whose files are in ``<home>/envoy``; see `rollout.routers.Router`.

    One RDS file holds the routes of all models whose clusters `bootstrap` wrote, so a router for one
    model leaves the others' splits as they are.
    """

    mirrors = True

    def __init__(self, settings: Settings, specs: Mapping[str, ModelSpec]) -> None:
        self._settings = settings
        self._specs = specs
        self._files = RouteFiles(settings.home)

    def read(self, model: str) -> Split:
        """Return the model's split."""
        self._known(model)
        return self._files.read(model)

    def apply(self, model: str, split: Split) -> None:
        """Put `split` in force within five seconds."""
        self._known(model)
        with self._files.locked():
            self._change(model, self._files.read(model), split)

    def amend(self, model: str, change: Change) -> Split:
        """Put ``change(split)`` in force; where only the lease differs, no route is touched."""
        self._known(model)
        with self._files.locked():
            before = self._files.read(model)
            after = change(before)
            if after.same_routes(before):
                self._files.write(model, after)
            else:
                self._change(model, before, after)
            return after

    def _known(self, model: str) -> None:
        if model not in self._specs:
            msg = f"There is no model {model!r}. {did_you_mean(model, self._specs)}"
            raise NotFound(msg)

    def _change(self, model: str, before: Split, after: Split) -> None:
        routed = routed_models(self._files)
        if model not in routed:
            msg = f"Envoy has no clusters for {model!r}: its slots were not in TRIMTAB_SLOTS at bootstrap."
            raise Refused(msg)
        splits = {name: self._files.read(name) for name in routed}
        # A canary is stated before it gets traffic and unstated after it lost it: whoever is killed
        # between the two leaves a lease that the guard ends, never a canary that nobody knows of.
        if not after.settled:
            self._files.write(model, after)
        try:
            self._publish(splits | {model: after})
        except BaseException:
            self._files.write(model, before)
            # A return to the champion stays in the file: an Envoy that comes back must not find the canary.
            kept = after if after.settled else before
            self._files.publish("rds.json", envoy_config.routes(splits | {model: kept}, _version()))
            raise
        self._files.write(model, after)

    def _publish(self, splits: Mapping[str, Split]) -> None:
        """Have every Envoy that runs take the routes; one that does not reads them when it starts."""
        version, urls = _version(), self._settings.envoy_admin_urls
        with ExitStack() as stack:
            admins = [
                stack.enter_context(closing(Admin(url, _log(self._files, number))))
                for number, url in enumerate(urls)
            ]
            self._files.publish("rds.json", envoy_config.routes(splits, version))
            deadline = time.monotonic() + CONFIRM_S
            while time.monotonic() < deadline:
                told = {admin.word(version) for admin in admins}
                if Word.TAKEN in told and Word.NOTHING not in told:
                    return
                time.sleep(_POLL_S)  # the admin port has no way to wait for a version
        where = ", ".join(urls)
        msg = f"Envoy at {where} did not confirm the routes within {CONFIRM_S:g} s; nothing was changed."
        raise Unavailable(msg)


def bootstrap(
    settings: Settings, specs: Mapping[str, ModelSpec], port: int, *admin_ports: int
) -> dict[str, Any]:
    """Write what Envoys of one port start from, one an admin port, and return the first one's bootstrap.

    Writes ``bootstrap.json`` (``bootstrap-2.json`` and so on for others), ``cds.json`` and ``rds.json`` to
    ``<home>/envoy``. The routes are those last confirmed; a model that has none yet sends everything to slot
    ``blue``, and a lease that ran out meanwhile is not renewed: its model starts with all traffic at the
    champion.

    Raises
    ------
    NotFound
        A model has no slots in `settings`.
    SettingsError
        A slot's URL is not ``http://host:port``.
    """
    files = RouteFiles(settings.home)
    slots = {
        name: {slot: settings.slot_url(spec, slot) for slot in ("blue", "green")}
        for name, spec in specs.items()
    }
    configs = [envoy_config.bootstrap(files.envoy, port, admin) for admin in admin_ports]
    cds = envoy_config.clusters(slots)
    with files.locked():
        now = datetime.now(UTC)
        states = {name: files.read(name) for name in specs}
        splits = {name: split.returned() if split.lapsed(now) else split for name, split in states.items()}
        for name, split in splits.items():
            files.write(name, split)
        files.publish("cds.json", cds)
        files.publish("rds.json", envoy_config.routes(splits, _version()))
        for number, config in enumerate(configs):
            files.publish(_bootstrap(number), config)
    return configs[0]


def routed_models(files: RouteFiles) -> list[str]:
    """Names of the models that Envoy has clusters for."""
    cds = files.load("cds.json")
    return [] if cds is None else envoy_config.models_in(cds)


def command(settings: Settings, binary: str = "envoy", number: int = 0) -> list[str]:
    """Return the command line that starts Envoy on the files that `bootstrap` wrote; it stays in front.

    `number` is the place of its admin port among those given there.
    """
    files = RouteFiles(settings.home)
    log = ["--log-level", "warning", "--log-path", str(_log(files, number))]
    log += ["--file-flush-interval-msec", f"{1000 * LOG_FLUSH_S:.0f}"]
    start = str(files.envoy / _bootstrap(number))
    return [binary, "--config-path", start, "--disable-hot-restart", *log]


def _version() -> str:
    return f"{time.time_ns()}-{secrets.token_hex(4)}"


def _bootstrap(number: int) -> str:
    return f"bootstrap{_suffix(number)}.json"


def _log(files: RouteFiles, number: int) -> Path:
    return files.envoy / f"envoy{_suffix(number)}.log"


def _suffix(number: int) -> str:
    return f"-{number + 1}" if number else ""
