"""Where the outside systems are. One process environment, read once, all problems at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec.clock import Clock
from spec.errors import NotFound, Problem, SettingsError, did_you_mean
from spec.model import ModelSpec

SLOTS = ("blue", "green")
ROUTERS = ("envoy", "gateway_api", "kserve")
_PORTS = 65535
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of one Trimtab process; see `from_env` for the variables.

    `home` is the state folder; relative data paths of a model's YAML start there.
    `slots` maps model to slot (`blue`, `green`) to the base URL of its model server.
    `router` names who divides the traffic. Only those on Kubernetes read `kubernetes_url`, the folder
    `kubernetes_account` (token, ca.crt, namespace), `kubernetes_namespace` (empty: the account's) and
    `routes`, which maps model to the name of its object (default: the model's name with ``-`` for ``_``).
    `shadow_port` is where model servers take mirrored copies; 0: the gateway marks them, as Envoy does.
    `grpc_shadow_port` is the same for calls of gRPC, which no gateway marks so that a model server sees it.
    Secrets are paths of files, read when needed and never kept.
    """

    home: Path
    models: Path
    clock: Clock = field(compare=False)
    results_url: str
    mlflow_uri: str
    prometheus_url: str
    airflow_url: str
    airflow_user: str
    airflow_password_file: Path
    gateway_url: str
    envoy_admin_urls: tuple[str, ...]
    serving_token_file: Path
    receiver_token_file: Path
    private_key_file: Path
    payload_token_file: Path
    slots: Mapping[str, Mapping[str, str]]
    router: str = "envoy"
    kubernetes_url: str = "https://kubernetes.default.svc"
    kubernetes_account: Path = ACCOUNT
    kubernetes_namespace: str = ""
    routes: Mapping[str, str] = field(default_factory=dict)
    shadow_port: int = 0
    grpc_shadow_port: int = 0

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the ``TRIMTAB_*`` variables; only ``TRIMTAB_HOME`` is required.

        ========================== =============================================
        variable                   default
        ========================== =============================================
        TRIMTAB_HOME               required
        TRIMTAB_MODELS             ``models`` in the working folder
        TRIMTAB_CLOCK              none: the wall clock (a file: a replay's clock)
        TRIMTAB_RESULTS_URL        SQLite file in the home
        TRIMTAB_MLFLOW_URI         http://127.0.0.1:21050
        TRIMTAB_PROMETHEUS_URL     http://127.0.0.1:21090
        TRIMTAB_AIRFLOW_URL        http://127.0.0.1:21088
        TRIMTAB_AIRFLOW_USER       trimtab
        TRIMTAB_AIRFLOW_PASSWORD_FILE   ``secrets/airflow`` in the home
        TRIMTAB_GATEWAY_URL        http://127.0.0.1:21080
        TRIMTAB_ENVOY_ADMIN_URL    http://127.0.0.1:21081; several with commas between, if they share the port
        TRIMTAB_SERVING_TOKEN_FILE ``secrets/serving`` in the home
        TRIMTAB_RECEIVER_TOKEN_FILE ``secrets/receiver`` in the home
        TRIMTAB_PRIVATE_KEY_FILE   ``secrets/private`` in the home
        TRIMTAB_PAYLOAD_TOKEN_FILE ``secrets/payload`` in the home
        TRIMTAB_SLOTS              ``{}``; JSON ``{model: {blue: url, green: url}}``
        TRIMTAB_ROUTER             ``envoy``; or ``gateway_api``, ``kserve``
        TRIMTAB_KUBERNETES_URL     https://kubernetes.default.svc
        TRIMTAB_KUBERNETES_ACCOUNT where Kubernetes mounts a pod's service account
        TRIMTAB_KUBERNETES_NAMESPACE   the account's
        TRIMTAB_ROUTES             ``{}``; JSON ``{model: name of its HTTPRoute or InferenceService}``
        TRIMTAB_SHADOW_PORT        0: none; the port of model servers for mirrored copies
        TRIMTAB_GRPC_SHADOW_PORT   0: none; the same for gRPC
        ========================== =============================================
        """
        env = os.environ if env is None else env
        problems: list[Problem] = []
        if not env.get("TRIMTAB_HOME"):
            hint = "Name the state folder, as `trimtab up` does for what it starts"
            problems.append(Problem("TRIMTAB_HOME", "must be set", "nothing", hint))
        slots = _slots(env.get("TRIMTAB_SLOTS", "{}"), problems)
        routes = _routes(env.get("TRIMTAB_ROUTES", "{}"), problems)
        router = env.get("TRIMTAB_ROUTER", "envoy")
        if router not in ROUTERS:
            problems.append(Problem("TRIMTAB_ROUTER", f"must be one of {', '.join(ROUTERS)}", repr(router)))
        shadow_port = _port("TRIMTAB_SHADOW_PORT", env, problems)
        grpc_shadow_port = _port("TRIMTAB_GRPC_SHADOW_PORT", env, problems)
        clock_file = Path(env["TRIMTAB_CLOCK"]) if env.get("TRIMTAB_CLOCK") else None
        if clock_file is not None and not clock_file.is_file():
            problems.append(Problem("TRIMTAB_CLOCK", "must name a clock file", str(clock_file)))
        if problems:
            raise SettingsError(problems)
        home = Path(env["TRIMTAB_HOME"]).absolute()
        secrets = home / "secrets"
        return cls(
            home=home,
            models=Path(env.get("TRIMTAB_MODELS", "models")).absolute(),
            clock=Clock(clock_file),
            results_url=env.get("TRIMTAB_RESULTS_URL", f"sqlite:///{home / 'results.db'}"),
            mlflow_uri=env.get("TRIMTAB_MLFLOW_URI", "http://127.0.0.1:21050"),
            prometheus_url=env.get("TRIMTAB_PROMETHEUS_URL", "http://127.0.0.1:21090"),
            airflow_url=env.get("TRIMTAB_AIRFLOW_URL", "http://127.0.0.1:21088"),
            airflow_user=env.get("TRIMTAB_AIRFLOW_USER", "trimtab"),
            airflow_password_file=Path(env.get("TRIMTAB_AIRFLOW_PASSWORD_FILE", secrets / "airflow")),
            gateway_url=env.get("TRIMTAB_GATEWAY_URL", "http://127.0.0.1:21080"),
            envoy_admin_urls=_several(env.get("TRIMTAB_ENVOY_ADMIN_URL", "http://127.0.0.1:21081")),
            serving_token_file=Path(env.get("TRIMTAB_SERVING_TOKEN_FILE", secrets / "serving")),
            receiver_token_file=Path(env.get("TRIMTAB_RECEIVER_TOKEN_FILE", secrets / "receiver")),
            private_key_file=Path(env.get("TRIMTAB_PRIVATE_KEY_FILE", secrets / "private")),
            payload_token_file=Path(env.get("TRIMTAB_PAYLOAD_TOKEN_FILE", secrets / "payload")),
            slots=slots,
            router=router,
            kubernetes_url=env.get("TRIMTAB_KUBERNETES_URL", "https://kubernetes.default.svc"),
            kubernetes_account=Path(env.get("TRIMTAB_KUBERNETES_ACCOUNT", ACCOUNT)),
            kubernetes_namespace=env.get("TRIMTAB_KUBERNETES_NAMESPACE", ""),
            routes=routes,
            shadow_port=shadow_port,
            grpc_shadow_port=grpc_shadow_port,
        )

    def location(self, path: str) -> str:
        """Return a data path of the YAML as a full path or URL."""
        return path if "://" in path else str(self.home / path)

    def slot_url(self, spec: ModelSpec, slot: str) -> str:
        """Base URL of the model server of a slot."""
        try:
            return self.slots[spec.model][slot]
        except KeyError:
            known = [f"{model}/{name}" for model, urls in self.slots.items() for name in urls]
            msg = f"There is no slot {spec.model}/{slot} in TRIMTAB_SLOTS. {did_you_mean(spec.model, known)}"
            raise NotFound(msg) from None


def read_secret(file: Path) -> str:
    """Read a secret's file; the error names the file and never its content."""
    try:
        secret = file.read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(
            [Problem(str(file), "must be a readable secret file", error.strerror or "")]
        ) from error
    if not secret:
        raise SettingsError([Problem(str(file), "must hold a secret", "an empty file")])
    return secret


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _port(name: str, env: Mapping[str, str], problems: list[Problem]) -> int:
    text = env.get(name, "0")
    if text.isdecimal() and int(text) <= _PORTS:
        return int(text)
    problems.append(Problem(name, "must be a port from 1 to 65535, or 0", text))
    return 0


def _slots(text: str, problems: list[Problem]) -> Mapping[str, Mapping[str, str]]:
    try:
        slots: Any = json.loads(text)
    except json.JSONDecodeError as error:
        problems.append(Problem("TRIMTAB_SLOTS", "must be JSON {model: {blue: url, green: url}}", str(error)))
        return {}
    if not isinstance(slots, dict) or not all(
        isinstance(urls, dict) and set(urls) == set(SLOTS) for urls in slots.values()
    ):
        problems.append(Problem("TRIMTAB_SLOTS", "must be JSON {model: {blue: url, green: url}}", text))
        return {}
    return slots


def _routes(text: str, problems: list[Problem]) -> Mapping[str, str]:
    try:
        routes: Any = json.loads(text)
    except json.JSONDecodeError as error:
        problems.append(Problem("TRIMTAB_ROUTES", "must be JSON {model: name}", str(error)))
        return {}
    if not isinstance(routes, dict) or not all(isinstance(name, str) and name for name in routes.values()):
        problems.append(Problem("TRIMTAB_ROUTES", "must be JSON {model: name}", text))
        return {}
    return routes
