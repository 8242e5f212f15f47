"""Where a version comes from and what became of it, as one record from the alert to the rollout.

Everything is read back from what was written at the time: the tags and files of the version's MLflow run, and
the events of the results store. What is not there is said in a sentence, and never guessed.
"""

from retraining.lineage.links import Link
from retraining.lineage.trace import Lineage, lineage

__all__ = ["Lineage", "Link", "lineage"]
