"""The one door to Kubernetes: objects of one kind in one namespace, as the pod's service account."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from rollout.answers import content
from spec import Problem, Refused, Settings, SettingsError, Unavailable, read_secret

MANAGER = "trimtab"
"""Field manager of every write, as `kubectl get -o yaml --show-managed-fields` shows it."""
_TIMEOUT_S = 5.0
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects, by the words of its URL and of its role."""

    group: str
    version: str
    plural: str
    name: str


class Conflict(Unavailable):
    """Somebody wrote the object since it was read; reading it again helps."""


class Objects:
    """Objects of one kind in the namespace of `settings`. Only gets and patches: no other verb is needed."""

    def __init__(self, settings: Settings, kind: Kind) -> None:
        self._settings = settings
        self._kind = kind

    @property
    def namespace(self) -> str:
        """The namespace of all of them."""
        return self._settings.kubernetes_namespace or read_secret(self._account / "namespace")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Connect for a few requests. The token is read anew: Kubernetes replaces it every hour.

        Raises
        ------
        SettingsError
            Token, certificate or namespace of the account cannot be read.
        """
        base = (
            f"/apis/{self._kind.group}/{self._kind.version}/namespaces/{self.namespace}/{self._kind.plural}"
        )
        with httpx.Client(
            base_url=self._settings.kubernetes_url.rstrip("/") + base,
            headers={"Authorization": f"Bearer {read_secret(self._account / 'token')}"},
            timeout=_TIMEOUT_S,
            verify=self._trust(),
            trust_env=False,
        ) as client:
            yield Session(client, self._kind, self.namespace, self._settings)

    @property
    def _account(self) -> Any:
        return self._settings.kubernetes_account

    def _trust(self) -> ssl.SSLContext | bool:
        if not self._settings.kubernetes_url.startswith("https:"):
            return False
        authority = self._account / "ca.crt"
        try:
            return ssl.create_default_context(cafile=str(authority))
        except OSError as error:
            problem = Problem(str(authority), "must hold the API server's certificates", str(error))
            raise SettingsError([problem]) from error


class Session:
    """A connection to the API server; see `Objects.session`. All errors name the object and the server."""

    def __init__(self, client: httpx.Client, kind: Kind, namespace: str, settings: Settings) -> None:
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._settings = settings

    def get(self, name: str) -> dict[str, Any]:
        """Return an object.

        Raises
        ------
        Refused
            There is no such object, or the account may not see it.
        Unavailable
            The API server did not answer, or does not take the token.
        """
        return self._asked("get", name, lambda: self._client.get(f"/{name}"))

    def patch(self, name: str, seen: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `change` into the object as it was `seen`, and return it.

        A JSON merge patch, not server-side apply: what is not named stays, whoever wrote it, while applying
        would claim the whole list of a route's rules from who installed it. The resource version makes it
        a compare-and-swap.

        Raises
        ------
        Conflict
            The object was written since it was seen.
        Refused
            The API server rejects the change, the object is gone, or the account may not write it.
        Unavailable
            The API server did not answer, or does not take the token.
        """
        metadata = dict(change.get("metadata", {})) | {"resourceVersion": seen["metadata"]["resourceVersion"]}
        body = dict(change) | {"metadata": metadata}
        # A typing error in a field must not be dropped in silence.
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        headers = {"Content-Type": _MERGE}
        return self._asked(
            "patch", name, lambda: self._client.patch(f"/{name}", json=body, params=query, headers=headers)
        )

    def called(self, name: str) -> str:
        """Return an object's full name, for people."""
        return f"{self._kind.name} {self._namespace}/{name}"

    def _asked(self, verb: str, name: str, ask: Any) -> dict[str, Any]:
        try:
            answer: httpx.Response = ask()
        except httpx.RequestError as error:
            msg = f"The API server at {self._settings.kubernetes_url} did not answer: {error!r}"
            raise Unavailable(msg) from error
        if not answer.is_success:
            raise self._error(verb, name, answer.status_code, _message(answer))
        item = content(answer)
        if item.get("kind") != self._kind.name:
            msg = f"What answers at {self._settings.kubernetes_url} is no API server: {answer.text[:200]!r}"
            raise Unavailable(msg)
        return item

    def _error(self, verb: str, name: str, status: int, message: str) -> Refused | Unavailable:
        called, kind = self.called(name), self._kind
        if status == httpx.codes.CONFLICT:
            return Conflict(f"{called} was written meanwhile: {message}")
        if status == httpx.codes.UNAUTHORIZED:
            token = self._settings.kubernetes_account / "token"
            return Unavailable(f"The API server does not take the token in {token} (401): {message}")
        if status == httpx.codes.FORBIDDEN:
            needs = f"{verb} on {kind.plural} of {kind.group} in namespace {self._namespace}"
            return Refused(f"{called}: the service account's Role lacks {needs} (403): {message}")
        if status == httpx.codes.NOT_FOUND:
            return Refused(f"There is no {called}; the chart or a person makes it (404): {message}")
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Unavailable(f"The API server cannot {verb} {called} now ({status}): {message}")
        return Refused(f"The API server rejects the {verb} of {called} ({status}): {message}")


def _message(answer: httpx.Response) -> str:
    """Return what a `Status` says; the start of the answer where it is none."""
    return str(content(answer).get("message") or answer.text[:200] or "no reason given")
