"""The model server: one process a slot, Open Inference Protocol in, every answer in the inference log."""

from serving.app import create_app
from serving.server import run

__all__ = ["create_app", "run"]
