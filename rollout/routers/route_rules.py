"""The rules of an HTTPRoute as data: which share goes to which slot. Pure; what is not ours stays."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollout.split import BOTH, Slot, Split
from spec import Refused
from spec.routing import TESTER

_MIRROR, _HEADERS = "RequestMirror", "RequestHeaderModifier"
_EVERYTHING = ({"path": {"type": "PathPrefix", "value": "/"}},)

Rule = Mapping[str, Any]
Services = Mapping[Slot, "Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """A slot's Service; `home` is the namespace of the route, `copies` the port that mirrors go to."""

    name: str
    namespace: str
    port: int
    copies: int
    home: str

    def reference(self, port: int) -> dict[str, Any]:
        """Return a backendRef with what the API server would fill in, so that equal rules are equal data."""
        named = {"group": "", "kind": "Service", "name": self.name, "port": port}
        return named if self.namespace == self.home else named | {"namespace": self.namespace}

    def is_meant_by(self, reference: Rule) -> bool:
        """Whether a backendRef names it."""
        return reference.get("kind", "Service") == "Service" and (
            (self.name, self.namespace) == (reference["name"], reference.get("namespace", self.home))
        )


def divided(rules: Sequence[Rule], services: Services, split: Split) -> list[dict[str, Any]]:
    """Return the rules with the traffic of `split`.

    A rule that names a slot's Service is ours: it gets both, with their weights, and the mirror. Its matches,
    timeouts and other filters stay, and so do all other rules. Rules for testers go before the rule that they
    are made from, and are gone when the rollout is.

    Raises
    ------
    Refused
            No rule is ours, or one of ours has a third backend while a canary is under way.
    """
    made: list[dict[str, Any]] = []
    for rule in rules:
        if not _slots(rule, services):
            made.append(copy.deepcopy(dict(rule)))
        elif not _is_for_testers(rule):
            made += [*_for_testers(rule, services, split), _drawn(rule, services, split)]
    if not any(_slots(rule, services) for rule in made):
        names = " or ".join(service.name for service in services.values())
        msg = f"no rule sends to {names}; its rules must name the slots' Services"
        raise Refused(msg)
    return made


def _drawn(rule: Rule, services: Services, split: Split) -> dict[str, Any]:
    """Return a rule of ours with the weights and the mirror."""
    refs = rule["backendRefs"]
    strangers = [one for one in refs if _slot(one, services) is None]
    if strangers and not split.settled:  # the end of a canary must not fail for what somebody added to it
        names = ", ".join(str(one["name"]) for one in strangers)
        msg = f"a rule of ours also sends to {names}, a share that no step counts; give it a rule of its own"
        raise Refused(msg)
    there = {_slot(one, services): one for one in refs}
    weighted = [
        copy.deepcopy(dict(there.get(slot) or services[slot].reference(services[slot].port)))
        | {"weight": split.weights[slot]}
        for slot in BOTH
    ]
    filters = _filters(rule, services, split.mirror)
    # Who says of himself that he is a tester would not be counted.
    backends = [*weighted, *copy.deepcopy(strangers)]
    return _kept(rule) | {"backendRefs": backends, "filters": _with_header(filters, "remove", TESTER)}


def _for_testers(rule: Rule, services: Services, split: Split) -> Iterator[dict[str, Any]]:
    """Yield a rule a slot for the requests that choose it by a header; the longer match wins."""
    if split.testers is None or split.testers.header is None or split.settled:
        return
    named: list[tuple[Slot, str]] = [(split.champion, "champion"), (split.idle, "challenger")]
    for slot, tester in named:
        choices = [{"type": "Exact", "name": split.testers.header, "value": one} for one in (tester, slot)]
        unmarked = _without_removal(_filters(rule, services, None))
        filters = _with_header(unmarked, "set", {"name": TESTER, "value": tester})
        kept = {key: value for key, value in _kept(rule).items() if key != "name"}  # names are unique
        yield kept | {
            "matches": [
                copy.deepcopy(dict(match)) | {"headers": [*match.get("headers", ()), choice]}
                for match in rule.get("matches") or _EVERYTHING
                for choice in choices
            ],
            "backendRefs": [services[slot].reference(services[slot].port) | {"weight": 1}],
            "filters": filters,
        }


def _is_for_testers(rule: Rule) -> bool:
    modified = (one[_key(_HEADERS)] for one in rule.get("filters") or () if one["type"] == _HEADERS)
    return any(header["name"].lower() == TESTER for one in modified for header in one.get("set") or ())


def _filters(rule: Rule, services: Services, mirror: Slot | None) -> list[dict[str, Any]]:
    """Return the rule's filters with a mirror to this slot and to no other of ours."""
    kept = []
    for one in rule.get("filters") or ():
        reference = one[_key(_MIRROR)]["backendRef"] if one["type"] == _MIRROR else {}
        to = _slot(reference, services) if reference else None
        is_there = to is not None and to == mirror and reference.get("port") == services[to].copies
        if to is None or is_there:
            kept.append(copy.deepcopy(dict(one)))
        mirror = None if is_there else mirror
    if mirror is not None:
        kept.append(
            {
                "type": _MIRROR,
                _key(_MIRROR): {"backendRef": services[mirror].reference(services[mirror].copies)},
            }
        )
    return kept


def _with_header(filters: list[dict[str, Any]], key: str, change: Any) -> list[dict[str, Any]]:
    """Return the filters with one change of the request's headers; a rule may have one such filter only."""
    others = [one for one in filters if one["type"] != _HEADERS]
    (mine,) = [one for one in filters if one["type"] == _HEADERS] or [{"type": _HEADERS, _key(_HEADERS): {}}]
    changes = mine[_key(_HEADERS)]
    if change not in changes.get(key, ()):
        mine = mine | {_key(_HEADERS): changes | {key: [*changes.get(key, ()), change]}}
    return [mine, *others]


def _without_removal(filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the filters of a drawn rule as one for testers may have them: one action a header is allowed."""
    kept = []
    for one in filters:
        changes = one[_key(_HEADERS)] if one["type"] == _HEADERS else {}
        if TESTER in changes.get("remove", ()):
            left = [name for name in changes["remove"] if name != TESTER]
            others = {key: value for key, value in changes.items() if key != "remove"}
            kept.append(one | {_key(_HEADERS): others | ({"remove": left} if left else {})})
        else:
            kept.append(one)
    return kept


def _kept(rule: Rule) -> dict[str, Any]:
    """Return what a rule has besides backends and filters."""
    return copy.deepcopy({key: value for key, value in rule.items() if key not in ("backendRefs", "filters")})


def _slots(rule: Rule, services: Services) -> list[Slot]:
    return [slot for one in rule.get("backendRefs") or () if (slot := _slot(one, services)) is not None]


def _slot(reference: Rule, services: Services) -> Slot | None:
    return next((slot for slot in BOTH if services[slot].is_meant_by(reference)), None)


def _key(kind: str) -> str:
    """Return the field of a filter's kind: `requestMirror` of `RequestMirror`."""
    return kind[0].lower() + kind[1:]
