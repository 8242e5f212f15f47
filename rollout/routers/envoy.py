"""Traffic through Envoy, driven by files: write the routes, rename them into place, see them live."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from rollout.routers import Change, envoy_config
from rollout.routers.files import RouteFiles
from rollout.split import Split
from spec import ModelSpec, NotFound, Refused, Settings, Unavailable, did_you_mean

CONFIRM_S = 5.0
_POLL_S = 0.01
_LOG_FLUSH_S = 0.05
_REJECTION = "Filesystem config update "
_REASON_CHARS = 500
_RDS = f"http.{envoy_config.STAT_PREFIX}.rds.{envoy_config.ROUTES}"


class EnvoyRouter:
    """Divides traffic with the Envoy whose files are in ``<home>/envoy``; see `rollout.routers.Router`.

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
        version = _version()
        with httpx.Client(base_url=self._settings.envoy_admin_url, timeout=1, trust_env=False) as admin:
            failed_before, logged = _failures(_stats(admin)), self._log_size()
            self._files.publish("rds.json", envoy_config.routes(splits, version))
            deadline = time.monotonic() + CONFIRM_S
            while time.monotonic() < deadline:
                stats = _stats(admin)
                if stats.get(f"{_RDS}.version_text") == f'"{version}"':
                    return
                if stats and failed_before is not None and _failures(stats) != failed_before:
                    msg = f"Envoy rejected the routes and keeps the ones before: {self._reason(logged)}"
                    raise Refused(msg)
                time.sleep(_POLL_S)  # the admin port has no way to wait for a version
        url = self._settings.envoy_admin_url
        msg = f"Envoy at {url} did not confirm the routes within {CONFIRM_S:g} s; nothing was changed."
        raise Unavailable(msg)

    def _reason(self, since: int) -> str:
        """Return what Envoy's log says after `since` bytes; Envoy names the reason nowhere else."""
        log = self._files.envoy / "envoy.log"
        deadline = time.monotonic() + 20 * _LOG_FLUSH_S
        while time.monotonic() < deadline:
            lines = log.read_bytes()[since:].decode("utf-8", "replace").splitlines() if log.is_file() else []
            reasons = [line.partition(_REJECTION)[2] for line in lines if _REJECTION in line]
            if reasons:
                return reasons[-1][:_REASON_CHARS]
            time.sleep(_LOG_FLUSH_S)  # a log has no event to wait for
        return f"the reason is in its log, which is not at {log}"

    def _log_size(self) -> int:
        log = self._files.envoy / "envoy.log"
        return log.stat().st_size if log.is_file() else 0


def bootstrap(
    settings: Settings, specs: Mapping[str, ModelSpec], port: int, admin_port: int
) -> dict[str, Any]:
    """Write what Envoy starts from and return its bootstrap.

    Writes ``bootstrap.json``, ``cds.json`` and ``rds.json`` to ``<home>/envoy``. The routes are those
    last confirmed; a model that has none yet sends everything to slot ``blue``, and a lease that ran out
    meanwhile is not renewed: its model starts with all traffic at the champion.

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
    config = envoy_config.bootstrap(files.envoy, port, admin_port)
    cds = envoy_config.clusters(slots)
    with files.locked():
        now = datetime.now(UTC)
        states = {name: files.read(name) for name in specs}
        splits = {name: split.returned() if split.lapsed(now) else split for name, split in states.items()}
        for name, split in splits.items():
            files.write(name, split)
        files.publish("cds.json", cds)
        files.publish("rds.json", envoy_config.routes(splits, _version()))
        files.publish("bootstrap.json", config)
    return config


def routed_models(files: RouteFiles) -> list[str]:
    """Names of the models that Envoy has clusters for."""
    cds = files.load("cds.json")
    return [] if cds is None else envoy_config.models_in(cds)


def command(settings: Settings, binary: str = "envoy") -> list[str]:
    """Return the command line that starts Envoy on the files that `bootstrap` wrote; it stays in front."""
    folder = RouteFiles(settings.home).envoy
    log = ["--log-level", "warning", "--log-path", str(folder / "envoy.log")]
    log += ["--file-flush-interval-msec", f"{1000 * _LOG_FLUSH_S:.0f}"]
    return [binary, "--config-path", str(folder / "bootstrap.json"), "--disable-hot-restart", *log]


def _version() -> str:
    return f"{time.time_ns()}-{secrets.token_hex(4)}"


def _stats(admin: httpx.Client) -> dict[str, str]:
    """Return Envoy's statistics of the route file; empty when it does not answer."""
    try:
        text = admin.get("/stats", params={"filter": f"^{_RDS}"}).text
    except httpx.TransportError:
        return {}
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def _failures(stats: Mapping[str, str]) -> int | None:
    counts = [stats.get(f"{_RDS}.{name}") for name in ("update_rejected", "update_failure")]
    return sum(int(count) for count in counts if count) if stats else None
