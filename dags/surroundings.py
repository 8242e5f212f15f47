"""What a DAG needs to know before it runs: the models, and where the state is."""

from __future__ import annotations

from spec import ModelSpec, Settings, load_folder, pick


def specs() -> dict[str, ModelSpec]:
    """Return the models that this Airflow has DAGs for, by name."""
    return load_folder(Settings.from_env().models)


def model(name: str) -> tuple[ModelSpec, Settings]:
    """Return one model as its YAML stands now, and the settings of this process."""
    settings = Settings.from_env()
    return pick(load_folder(settings.models), name), settings
