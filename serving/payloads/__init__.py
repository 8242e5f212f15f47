"""KServe's payload log as another source of the inference log: CloudEvents in, the same rows out."""

from serving.payloads.app import create_app
from serving.payloads.server import run

__all__ = ["create_app", "run"]
