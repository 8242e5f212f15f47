"""Where a command finds the stack: options, environment, and what the home remembers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from spec import ModelSpec, Settings, load_folder
from trimtab.mark import MARK

Command = TypeVar("Command", bound=Callable[..., Any])
_FOLDER: Any = click.Path(file_okay=False, path_type=Path)


def home_option(command: Command) -> Command:
    """Add ``--home``, the state folder."""
    return click.option(
        "--home",
        type=_FOLDER,
        envvar="TRIMTAB_HOME",
        default=Path(".trimtab"),
        show_default=True,
        help="State folder.",
    )(command)


def models_option(command: Command) -> Command:
    """Add ``--models``, the folder of model YAML files."""
    return click.option(
        "--models",
        type=_FOLDER,
        envvar="TRIMTAB_MODELS",
        help="Folder of model YAML files; by default that of the stack in the home, else `models`.",
    )(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def server_options(port: int, *, least: int = 1) -> Callable[[Command], Command]:
    """Add ``--host`` and ``--port``; the latter from `least` on, where 0 is a free one."""

    def add(command: Command) -> Command:
        with_port = click.option("--port", type=click.IntRange(least, 65535), default=port, show_default=True)
        return click.option("--host", default="127.0.0.1", show_default=True)(with_port(command))

    return add


def models_folder(home: Path, models: Path | None) -> Path:
    """Return the model folder that was asked for, else the stack's, else ``models``."""
    from trimtab.stack import layout

    known = layout.read(home)
    return models or (Path(known.models) if known else Path("models"))


def surroundings(home: Path, models: Path | None = None) -> tuple[dict[str, ModelSpec], Settings]:
    """Return the models, and the settings of a client or a process of the stack in `home`.

    A variable of the environment wins over what the home remembers. Without a stack in the home,
    the defaults of `Settings.from_env` stand. MLflow's credentials go to the environment, which is
    where its client looks.
    """
    environment = dict(os.environ)
    if MARK not in environment:
        environment = _remembered(home) | environment
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            if name in environment:
                os.environ[name] = environment[name]
    environment["TRIMTAB_HOME"] = str(home)
    if models is not None:
        environment["TRIMTAB_MODELS"] = str(models)
    settings = Settings.from_env(environment)
    return load_folder(settings.models), settings


def _remembered(home: Path) -> dict[str, str]:
    from trimtab.stack import layout, surroundings

    known = layout.read(home.absolute())
    return {} if known is None else surroundings.environment(home.absolute(), known)
