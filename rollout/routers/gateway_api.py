"""Traffic through a Gateway: the weights and the mirror of one HTTPRoute a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from rollout.routers import route_rules
from rollout.routers.declared import DeclaredRouter, Item
from rollout.routers.kubernetes import Kind
from rollout.routers.route_rules import Service
from rollout.split import BOTH, Slot, Split
from spec import Problem, Refused, SettingsError

_NEEDED = ("Accepted", "ResolvedRefs")
_WAITING = ("Pending",)


class GatewayApiRouter(DeclaredRouter):
    """Divides traffic with the HTTPRoutes (`gateway.networking.k8s.io/v1`) that the chart made.

    In force means: every Gateway that the route names has accepted this generation of it and resolved its
    backends. When its proxies have the weights no status says; it follows within the controller's own delay.
    """

    mirrors = True
    kind = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")

    def _change(self, model: str, item: Item, before: Split, after: Split) -> dict[str, Any]:
        del before
        if after.sticky is not None:
            msg = (
                f"{model}: an HTTPRoute cannot keep rollout.sticky: session persistence is experimental in "
                "the Gateway API and knows no header or cookie of the caller's. Leave it out, or use Envoy."
            )
            raise Refused(msg)
        if after.testers is not None and after.testers.cookie is not None:
            msg = f"{model}: an HTTPRoute matches no single cookie: rollout.testers must name a header only."
            raise Refused(msg)
        rules: Sequence[Item] = item["spec"].get("rules") or ()
        try:
            wanted = route_rules.divided(rules, self._services(model), after)
        except Refused as error:
            msg = f"HTTPRoute {self._name(model)} of {model}: {error}"
            raise Refused(msg) from error
        return {} if wanted == list(rules) else {"spec": {"rules": wanted}}

    def _in_force(self, model: str, item: Item, split: Split) -> bool:
        del split
        done = True
        for parent in self._parents(model, item):
            for one in _NEEDED:
                condition = _condition(item, parent, one)
                if condition is None or condition.get("reason") in _WAITING:
                    done = False
                elif condition["status"] != "True":
                    raise Refused(self._rejected(model, parent, condition))
            partly = _condition(item, parent, "PartiallyInvalid")
            if partly is not None and partly["status"] == "True":
                raise Refused(self._rejected(model, parent, partly))
        return done

    def _why(self, item: Item) -> str:
        parents = item["spec"].get("parentRefs") or ()
        silent = [str(parent["name"]) for parent in parents if _condition(item, parent, "Accepted") is None]
        of = f"generation {item['metadata'].get('generation')}"
        return f"Gateway {', '.join(silent) or 'unknown'} says nothing of {of}. Does its controller run?"

    def _parents(self, model: str, item: Item) -> Sequence[Item]:
        parents: Sequence[Item] = item["spec"].get("parentRefs") or ()
        if not parents:
            msg = (
                f"HTTPRoute {self._name(model)} of {model} names no Gateway in parentRefs: nothing serves it."
            )
            raise Refused(msg)
        return parents

    def _rejected(self, model: str, parent: Item, condition: Item) -> str:
        says = f"{condition['type']} is {condition['status']}, {condition['reason']}: {condition['message']}"
        return f"Gateway {parent['name']} rejects HTTPRoute {self._name(model)} of {model}: {says}"

    def _services(self, model: str) -> Mapping[Slot, Service]:
        spec, problems, found = self._specs[model], [], {}
        home = self._objects.namespace
        for slot in BOTH:
            url = self._settings.slot_url(spec, slot)
            service = _service(url, home, self._settings.shadow_port)
            if service is None:
                where = f"TRIMTAB_SLOTS: {model}.{slot}"
                problems.append(Problem(where, "must be http://service[.namespace.svc]:port", repr(url)))
            else:
                found[slot] = service
        if problems:
            raise SettingsError(problems)
        return found


def _service(url: str, home: str, copies: int) -> Service | None:
    """Return the Service behind a slot's URL; None where it names none."""
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    name, rest = labels[0], labels[1:]
    if parts.scheme != "http" or not name or name.isdigit() or (rest and rest[1:2] != ["svc"]):
        return None
    port = parts.port or 80
    return Service(name, rest[0] if rest else home, port, copies or port, home)


def _condition(item: Item, parent: Item, name: str) -> Item | None:
    """Return what a Gateway's controller says of this generation; None where it has not yet."""
    generation = item["metadata"].get("generation", 0)
    for status in (item.get("status") or {}).get("parents") or ():
        if not _same_parent(item, status["parentRef"], parent):
            continue
        for condition in status.get("conditions") or ():
            if condition["type"] == name and condition.get("observedGeneration", 0) >= generation:
                found: Item = condition
                return found
    return None


def _same_parent(item: Item, one: Item, other: Item) -> bool:
    home = item["metadata"].get("namespace")
    keys = ("name", "sectionName", "port")
    return all(one.get(key) == other.get(key) for key in keys) and (
        one.get("namespace", home) == other.get("namespace", home)
    )
