"""The model whose monitor the quality benches run: every default but the hourly window."""

from __future__ import annotations

from typing import Any

from spec import ModelSpec


def model(names: list[str], categorical: list[str], reference: str | None) -> ModelSpec:
    """Return a spec with every default but the hourly window."""
    drift_spec: dict[str, Any] = (
        {} if reference is None else {"data_drift": {"reference": {"seasonal": reference}}}
    )
    return ModelSpec.model_validate(
        {
            "model": "bench",
            "task": "regression",
            "data": {
                "inference_log": "log",
                "labels": "labels",
                "id": "id",
                "time": "time",
                "target": {"name": "y", "delay": "1d"},
            },
            "features": {name: "categorical" if name in categorical else "numeric" for name in names},
            "monitor": {"window": "1h", **drift_spec},
        }
    )
