"""The state of one model for who must act on it: what is decided and why, and the figures behind it."""

from trimtab.condition.look import look
from trimtab.condition.records import Champion, Condition, Decision, Finding
from trimtab.condition.screen import draw

__all__ = ["Champion", "Condition", "Decision", "Finding", "draw", "look"]
