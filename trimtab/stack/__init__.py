"""Everything that runs on one machine: prepare a home, start it, wait until it is ready, stop it."""

from trimtab.stack.local import Stack
from trimtab.stack.prepare import prepare
from trimtab.stack.status import Row

__all__ = ["Row", "Stack", "prepare"]
