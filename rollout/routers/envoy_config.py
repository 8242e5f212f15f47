"""Envoy's configuration as data: bootstrap, clusters and routes. Pure; nothing is written here."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rollout.split import BOTH, Slot, Split, other
from spec import Problem, SettingsError
from spec.routing import LOADING, NO_VERSION, TESTER

ROUTES = "trimtab"
STAT_PREFIX = "gateway"
TIMEOUT_S = 10
TAILS = ("", "-shadow", "-tester")
_TYPE = "type.googleapis.com/envoy"
_HTTP = f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

_PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_NEVER_REACHED = "connect-failure,refused-stream,reset-before-request"
_ONCE = {
    "timeout": f"{TIMEOUT_S}s",
    # Envoy marks a mirrored copy behind the host's name; a caller's own ``x-shadow`` would pass for one.
    "host_rewrite_literal": ROUTES,
    # Only what never reached a version is tried again: an answer of the application
    # must count, and a retry would hide a failing challenger from its judge.
    "retry_policy": {"retry_on": _NEVER_REACHED, "num_retries": 1},
}
_PRIORITIES = f"{_TYPE}.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
# The second attempt goes to the next priority of the cluster, which is the other slot.
_ONCE_AT_THE_OTHER_SLOT = _ONCE | {
    "retry_policy": {
        "retry_on": f"{_NEVER_REACHED},retriable-headers",
        "retriable_headers": [{"name": NO_VERSION, "present_match": True}],
        "num_retries": 1,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {"@type": _PRIORITIES, "update_frequency": 1},
        },
    }
}
# Where nobody else may answer, a slot that starts again (some 3 s) is waited for: on average 7 s at most.
_UNTIL_IT_HAS_STARTED = _ONCE | {
    "retry_policy": {
        "retry_on": f"{_NEVER_REACHED},retriable-headers",
        "retriable_headers": [{"name": NO_VERSION, "string_match": {"exact": LOADING}}],
        "num_retries": 15,
        "retry_back_off": {"base_interval": "0.2s", "max_interval": "1s"},
    }
}
_MOST_RETRIES = 10_000


def bootstrap(folder: Path, port: int, admin_port: int) -> dict[str, Any]:
    """Return the bootstrap: one gateway for all models, whose routes and clusters are files in `folder`.

    The admin port and the gateway listen on 127.0.0.1.
    """
    return {
        "node": {"id": "trimtab", "cluster": "trimtab"},
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "dynamic_resources": {"cds_config": _watched(folder / "cds.json")},
        "static_resources": {"listeners": [_listener(folder, port)]},
    }


def clusters(slots: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the CDS file for ``{model: {slot: url}}``: per slot a live cluster, a mirror's and the testers'.

    Clusters of their own keep dropped answers, and requests that chose a version, out of the live counters.
    A live cluster knows the other slot too, which only a canary's second attempts reach. Not where one is
    known by name: while a name has no address, all requests would go to the other slot, canary or not.

    Raises
    ------
    SettingsError
        A slot's URL is not ``http://host:port``; all such are named.
    """
    problems: list[Problem] = []
    resources = []
    for model, urls in sorted(slots.items()):
        at = {slot: _host_port(urls[slot], f"TRIMTAB_SLOTS: {model}.{slot}", problems) for slot in BOTH}
        fixed = all(_is_ip(host) for host, _ in at.values())
        for slot in BOTH:
            for tail in TAILS:
                doors = [at[slot], at[other(slot)]] if fixed and not tail else [at[slot]]
                resources.append(_cluster(f"{model}-{slot}{tail}", *doors))
    if problems:
        raise SettingsError(problems)
    return {"version_info": "1", "resources": resources}


def models_in(cds: Mapping[str, Any]) -> list[str]:
    """Names of the models whose clusters a CDS file holds."""
    names = (str(cluster["name"]) for cluster in cds["resources"])
    return sorted(name.removesuffix("-blue") for name in names if name.endswith("-blue"))


def routes(splits: Mapping[str, Split], version: str) -> dict[str, Any]:
    """Return the RDS file of all models; `version` is what the admin port will show once it is live."""
    per_model = [route for model, split in sorted(splits.items()) for route in _model_routes(model, split)]
    health = _answer({"prefix": "/v2/health/"}, 200, {"live": True, "ready": True})
    missing = _answer({"prefix": "/"}, 404, {"error": "No such model or path at this gateway."})
    resource = {
        "@type": f"{_TYPE}.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "validate_clusters": True,
        "virtual_hosts": [{"name": ROUTES, "domains": ["*"], "routes": [health, *per_model, missing]}],
    }
    return {"version_info": version, "resources": [resource]}


def _model_routes(model: str, split: Split) -> list[dict[str, Any]]:
    """Return the routes of those who chose their version, then those of all others."""
    base = f"/v2/models/{model}"
    paths: list[dict[str, Any]] = [{"prefix": f"{base}/"}, {"path": base}]
    chosen = [
        {
            "match": path | {"headers": [choice]},
            "route": {"cluster": f"{model}-{slot}-tester", **_ONCE},
            "request_headers_to_add": [_told(tester)],
        }
        for choice, slot, tester in _choices(split)
        for path in paths
    ]
    drawn = _drawn(model, split)
    # Who says of himself that he is a tester would not be counted.
    others = [{"match": path, "route": drawn, "request_headers_to_remove": [TESTER]} for path in paths]
    return [*chosen, *others]


def _drawn(model: str, split: Split) -> dict[str, Any]:
    """Return where requests go by weight: drawn one by one, or by the hash of what names the user.

    While callers meet both versions, either may answer what the other could not. In shadow nobody meets the
    challenger, and once it is settled the idle slot may hold anything: the champion is asked again a while.
    """
    clusters = [{"name": f"{model}-{slot}", "weight": split.weights[slot]} for slot in BOTH]
    tries = _ONCE_AT_THE_OTHER_SLOT if split.weights[split.idle] else _UNTIL_IT_HAS_STARTED
    action: dict[str, Any] = {"weighted_clusters": {"clusters": clusters}, **tries}
    if split.sticky is not None:
        header, cookie = split.sticky.header, split.sticky.cookie
        action["hash_policy"] = [
            {"header": {"header_name": header}} if header else {"cookie": {"name": cookie}}
        ]
        action["weighted_clusters"]["use_hash_policy"] = True
    if split.mirror is not None:
        action["request_mirror_policies"] = [{"cluster": f"{model}-{split.mirror}-shadow"}]
    return action


def _choices(split: Split) -> Iterator[tuple[dict[str, Any], Slot, str]]:
    """Yield what a tester's request carries, the slot that it asks for by that, and whose slot this is."""
    if split.testers is None or split.settled:
        return
    named: list[tuple[Slot, str]] = [(split.champion, "champion"), (split.idle, "challenger")]
    header, cookie = split.testers.header, split.testers.cookie
    for slot, tester in named if header else ():
        yield {"name": header, **_matching(f"{tester}|{slot}")}, slot, tester
    for slot, tester in named if cookie else ():
        held = rf"(.*;\s*)?{re.escape(cookie or '')}=({tester}|{slot})(\s*;.*)?"
        yield {"name": "cookie", **_matching(held)}, slot, tester


def _matching(regex: str) -> dict[str, Any]:
    """Return a match of a header's whole value."""
    return {"string_match": {"safe_regex": {"regex": regex}}}


def _told(tester: str) -> dict[str, Any]:
    """Return the header that tells the model server of a choice, whatever the request itself says."""
    return {"header": {"key": TESTER, "value": tester}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _answer(match: dict[str, str], status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": json.dumps(body)}},
        "response_headers_to_add": [{"header": {"key": "content-type", "value": "application/json"}}],
    }


def _listener(folder: Path, port: int) -> dict[str, Any]:
    router = {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"}
    connections = {
        "@type": _HTTP,
        "stat_prefix": STAT_PREFIX,
        "rds": {"route_config_name": ROUTES, "config_source": _watched(folder / "rds.json")},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        # A path that escapes its prefix would reach the servers' load and unload.
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
    }
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}
    return {
        "name": STAT_PREFIX,
        "address": _address("127.0.0.1", port),
        "filter_chains": [{"filters": [manager]}],
    }


def _cluster(name: str, *doors: tuple[str, int]) -> dict[str, Any]:
    """Return a cluster of hosts and ports, the first to be asked first."""
    options = {
        "@type": f"type.googleapis.com/{_PROTOCOL}",
        # Shorter than the servers' keep-alive (3900 s), so that no request meets a closing connection.
        "common_http_protocol_options": {"idle_timeout": "3s"},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    endpoints = [
        {"priority": priority, "lb_endpoints": [{"endpoint": {"address": _address(host, port)}}]}
        for priority, (host, port) in enumerate(doors)
    ]
    return {
        "@type": f"{_TYPE}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC" if _is_ip(doors[0][0]) else "STRICT_DNS",
        "connect_timeout": "1s",
        # The default of 3 at once would fail callers of a dead slot whom the other could answer.
        "circuit_breakers": {"thresholds": [{"max_retries": _MOST_RETRIES}]},
        "typed_extension_protocol_options": {_PROTOCOL: options},
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _watched(file: Path) -> dict[str, Any]:
    # Watching the whole folder would load the clusters again with every change of the routes.
    return {"path_config_source": {"path": str(file)}, "resource_api_version": "V3"}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _host_port(url: str, where: str, problems: list[Problem]) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or port is None:
        problems.append(Problem(where, "must be http://host:port", repr(url)))
        return "", 0
    return parts.hostname, port


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
