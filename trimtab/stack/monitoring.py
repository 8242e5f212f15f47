"""Prometheus and Alertmanager on the configuration that `alerts` makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import yaml

from alerts import alertmanager, prometheus, rules
from spec import ModelSpec, Settings
from trimtab.stack import binaries, surroundings
from trimtab.stack.ports import HOST
from trimtab.stack.processes import Process
from trimtab.stack.secrets import secret, write_private

USER = "trimtab"
_KEPT = "30d"
_REPLAY_TIMING = alertmanager.Timing(
    wait=timedelta(seconds=0.5),
    interval=timedelta(seconds=2),
    repeat=timedelta(hours=1),
    retry=timedelta(seconds=4),
)
_ROUNDS = 5  # the password is 48 random bytes; a slow hash would only slow each scrape


def can_ask_for_a_password() -> bool:
    """Whether Alertmanager's password can be hashed (the package `bcrypt`)."""
    return find_spec("bcrypt") is not None


def prepare(
    settings: Settings,
    specs: Mapping[str, ModelSpec],
    ports: Mapping[str, int],
    *,
    replay: bool,
    speed: float,
    scrape_interval: timedelta,
) -> None:
    """Write the rules, ``prometheus.yml``, ``alertmanager.yml`` and Alertmanager's password hash."""
    home, secrets = settings.home, settings.home / "secrets"
    written = rules.rule_files(home / "prometheus" / "rules", speed)
    scraped = prometheus.config(_targets(settings, ports), rules=written, interval=scrape_interval)
    _write(home / "prometheus" / "prometheus.yml", scraped)
    write_private(secrets / "slack-url", surroundings.slack_url(home, ports["slack"]))
    routed = alertmanager.config(
        specs,
        receiver_url=surroundings.url(ports["receiver"]),
        receiver_token_file=settings.receiver_token_file,
        slack=alertmanager.Slack(url_file=secrets / "slack-url"),
        timing=_REPLAY_TIMING if replay else None,
    )
    _write(home / "alertmanager" / "alertmanager.yml", routed)
    if can_ask_for_a_password():
        users = {USER: _hash(secret(home, "alertmanager"))}
        _write(home / "alertmanager" / "web.yml", {"basic_auth_users": users})


def files(home: Path) -> list[Path]:
    """Return what both servers read at their start, but no hash of a password: its salt is new each time."""
    rule_files = sorted((home / "prometheus" / "rules").glob("*.yaml"))
    return [home / "prometheus" / "prometheus.yml", home / "alertmanager" / "alertmanager.yml", *rule_files]


def processes(home: Path, ports: Mapping[str, int]) -> list[Process]:
    """Return the two servers."""
    return [_prometheus(home, ports["prometheus"]), _alertmanager(home, ports["alertmanager"])]


def _prometheus(home: Path, port: int) -> Process:
    folder = home / "prometheus"
    argv = (
        binaries.find(binaries.PROMETHEUS),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--storage.tsdb.retention.time={_KEPT}",
        f"--web.listen-address={HOST}:{port}",
        f"--web.external-url={surroundings.url(port)}",
        # An alert that fires before Alertmanager is discovered is lost until it is sent again.
        "--rules.alert.resend-delay=5s",
        "--log.level=warn",
    )
    return Process("prometheus", argv, ready=f"{surroundings.url(port)}/-/ready")


def _alertmanager(home: Path, port: int) -> Process:
    folder, url = home / "alertmanager", surroundings.url(port)
    argv = [
        binaries.find(binaries.ALERTMANAGER),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        f"--web.external-url={url}",
        "--cluster.listen-address=",  # one instance, no gossip
        "--log.level=warn",
    ]
    user = None
    if can_ask_for_a_password():
        argv.append(f"--web.config.file={folder / 'web.yml'}")
        user = (USER, home / "secrets" / "alertmanager")
    return Process("alertmanager", tuple(argv), ready=f"{url}/-/ready", user=user)


def _targets(settings: Settings, ports: Mapping[str, int]) -> prometheus.Targets:
    def target(name: str) -> prometheus.Target:
        return prometheus.Target(surroundings.url(ports[name]))

    alerts = target("alertmanager")
    if can_ask_for_a_password():
        alerts = prometheus.Target(alerts.url, USER, settings.home / "secrets" / "alertmanager")
    return prometheus.Targets(
        exporter=target("exporter"),
        receiver=target("receiver"),
        slots=settings.slots,
        payloads=surroundings.payloads(ports),
        envoy_admins=settings.envoy_admin_urls,
        alertmanager=alerts,
        prometheus=target("prometheus"),
    )


def _hash(password: str) -> str:
    bcrypt = import_module("bcrypt")  # optional, so that its absence is told and not a crash
    return str(bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS)).decode("ascii"))


def _write(file: Path, content: Mapping[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, yaml.safe_dump(dict(content), sort_keys=False, width=1000))
