"""What an Envoy says of the routes that it was given, by its admin port and in its log."""

from __future__ import annotations

import time
from enum import Enum, auto
from pathlib import Path

import httpx

from rollout.routers import envoy_config
from spec import Refused

LOG_FLUSH_S = 0.05
_REJECTION = "Filesystem config update "
_REASON_CHARS = 500
_RDS = f"http.{envoy_config.STAT_PREFIX}.rds.{envoy_config.ROUTES}"


class Word(Enum):
    """What an Envoy has said of some routes."""

    TAKEN = auto()
    NOTHING = auto()
    """It has others, or it does not answer."""
    GONE = auto()
    """Nobody listens at its port: it will read the routes when it starts."""


class Admin:
    """One Envoy, as it was before it is given other routes.

    Parameters
    ----------
    url
        Base URL of its admin port.
    log
        Where its log is, if it is on this machine.
    """

    def __init__(self, url: str, log: Path) -> None:
        self._client = httpx.Client(base_url=url, timeout=1, trust_env=False)
        self._log = log
        stats = self._stats()
        self._failed = _failures(stats) if stats else None
        self._logged = log.stat().st_size if log.is_file() else 0

    def word(self, version: str) -> Word:
        """Ask for its word on the routes of a version.

        Raises
        ------
        Refused
            It rejected them and keeps those before; with the reason.
        """
        stats = self._stats()
        if stats is None:
            return Word.GONE
        if stats.get(f"{_RDS}.version_text") == f'"{version}"':
            return Word.TAKEN
        if stats and self._failed is not None and _failures(stats) != self._failed:
            msg = f"Envoy rejected the routes and keeps the ones before: {self._reason()}"
            raise Refused(msg)
        return Word.NOTHING

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _stats(self) -> dict[str, str] | None:
        """Return the statistics of the route file: none when it does not answer, None when nobody listens."""
        try:
            text = self._client.get("/stats", params={"filter": f"^{_RDS}"}).text
        except httpx.ConnectError:
            return None
        except httpx.TransportError:
            return {}
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def _reason(self) -> str:
        """Return what the log says since then; Envoy names the reason nowhere else."""
        deadline = time.monotonic() + 20 * LOG_FLUSH_S
        while time.monotonic() < deadline:
            content = self._log.read_bytes()[self._logged :] if self._log.is_file() else b""
            lines = content.decode("utf-8", "replace").splitlines()
            reasons = [line.partition(_REJECTION)[2] for line in lines if _REJECTION in line]
            if reasons:
                return reasons[-1][:_REASON_CHARS]
            time.sleep(LOG_FLUSH_S)  # a log has no event to wait for
        return f"the reason is in its log, which is not at {self._log}"


def _failures(stats: dict[str, str]) -> int:
    counts = [stats.get(f"{_RDS}.{name}") for name in ("update_rejected", "update_failure")]
    return sum(int(count) for count in counts if count)
