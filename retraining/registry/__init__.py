"""The door to MLflow: versions, their files, the aliases and who had them when.

MLflow flips an alias without comparing and keeps no history, so changes of a model's aliases are
serialised by a file lock, the old champion is kept as ``previous``, and every change is a tag and an event.
"""

from retraining.registry.approval import Approval
from retraining.registry.records import Alias, Reign, Rejection, Version
from retraining.registry.registry import Registry

__all__ = ["Alias", "Approval", "Registry", "Reign", "Rejection", "Version"]
