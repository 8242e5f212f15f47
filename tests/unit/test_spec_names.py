from __future__ import annotations

import subprocess
import sys

import pytest

import spec


def test_every_public_name_is_there() -> None:
    """Each name of `spec.__all__` can be had, and is listed once more by dir()."""
    assert all(getattr(spec, name) is not None for name in spec.__all__)
    assert set(spec.__all__) <= set(dir(spec))


def test_what_is_imported_later_is_the_same_object_every_time() -> None:
    """A name from `spec` is the one of its module."""
    from spec import loader, model

    assert loader.load is spec.load
    assert model.ModelSpec is spec.ModelSpec


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does for any module."""
    with pytest.raises(AttributeError, match="module 'spec' has no attribute 'lod'"):
        spec.lod  # type: ignore[attr-defined] # noqa: B018


def test_errors_and_clock_come_without_pydantic() -> None:
    """A process that only reports errors does not import what reads a YAML."""
    code = (
        "import sys, spec; spec.DataError, spec.Clock; print(sorted({'pydantic', 'yaml'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == found.stdout.strip()
