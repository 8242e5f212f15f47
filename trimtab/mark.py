"""How a process knows that it belongs to a local stack."""

MARK = "TRIMTAB_STACK"
"""Environment variable that every process of a stack carries: the stack's home."""
