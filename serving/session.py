"""Open an ONNX file for running: on which hardware, with how many threads."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnxruntime as ort

from spec import DataError, Problem
from spec.serving import Provider

_logger = logging.getLogger(__name__)

_TOLD = 200
_NAMES: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


def open_session(file: Path, providers: Sequence[Provider], threads: int) -> ort.InferenceSession:
    """Open a file with the first of the providers that is there; the CPU always is.

    Parameters
    ----------
    providers
        The best first. What is passed over is logged as a warning.

    Raises
    ------
    DataError
        When it is no ONNX model that ONNX Runtime can load.
    """
    wanted = [_NAMES[provider] for provider in _there(providers)]
    for at, name in enumerate(wanted):
        try:
            session = ort.InferenceSession(str(file), _options(threads), providers=wanted[at:])
        except Exception as error:
            told = " ".join(str(error).split())
            if name == wanted[-1]:
                must = "must be an ONNX model that ONNX Runtime can load"
                raise DataError([Problem(str(file), must, told)]) from error
            _logger.warning("%s cannot take %s, the next one is tried: %s", name, file, told[-_TOLD:])
            continue
        break
    if session.get_providers()[0] != name:  # its library is there, its driver or device is not
        _logger.warning("%s does not start here; %s runs on %s", name, file, provider_of(session))
    return session


def provider_of(session: ort.InferenceSession) -> Provider:
    """Return what a session runs on first."""
    first = session.get_providers()[0]
    return next(provider for provider, name in _NAMES.items() if name == first)


def present() -> tuple[Provider, ...]:
    """Return the providers of this ONNX Runtime, the CPU last."""
    known = ort.get_available_providers()
    return tuple(provider for provider, name in _NAMES.items() if name in known)


def _there(providers: Sequence[Provider]) -> Iterator[Provider]:
    here = present()
    for provider in providers:
        if provider in here:
            yield provider
        else:
            _logger.warning(
                "the provider %s is not in this ONNX Runtime %s, which has %s; the next one is taken",
                provider,
                ort.__version__,
                ", ".join(here),
            )
    if "cpu" not in providers:
        yield "cpu"


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options
