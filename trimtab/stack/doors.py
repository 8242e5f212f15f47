"""Where a person gets in: the servers with a face, their users, and where the passwords are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from trimtab.stack import airflow, mlflow, monitoring
from trimtab.stack.ports import PAYLOADS
from trimtab.stack.surroundings import url

_LOGGER = "kserve"  # any user does: the receiver looks at the password


class Door(NamedTuple):
    """One server; `user` is empty where none is asked for."""

    name: str
    url: str
    user: str = ""
    password_file: str = ""

    def __str__(self) -> str:
        """One line: name, URL, and how to get in."""
        who = f"  user {self.user}, password in {self.password_file}" if self.user else ""
        return f"{self.name:<13} {self.url}{who}"


def doors(home: Path, ports: Mapping[str, int]) -> list[Door]:
    """Return the doors of a stack."""
    secrets = home / "secrets"

    def guarded(name: str, user: str, secret: str) -> Door:
        return Door(name, url(ports[name]), user, str(secrets / secret))

    def mlflow_door() -> Door:
        if mlflow.can_ask_for_a_password():
            return guarded("mlflow", mlflow.USER, "mlflow")
        return Door("mlflow", url(ports["mlflow"]))

    def alertmanager_door() -> Door:
        if monitoring.can_ask_for_a_password():
            return guarded("alertmanager", monitoring.USER, "alertmanager")
        return Door("alertmanager", url(ports["alertmanager"]))

    payloads = [guarded(name, _LOGGER, "payload") for name in ports if name.endswith(f"-{PAYLOADS}")]
    return [
        Door("gateway", url(ports["gateway"])),
        guarded("airflow", airflow.ADMIN, "airflow-admin"),
        mlflow_door(),
        Door("prometheus", url(ports["prometheus"])),
        alertmanager_door(),
        Door("slack", f"file://{home / 'slack' / 'messages.jsonl'}"),
        *payloads,
    ]
