"""What the world looks like to a model: the log, the labels, the references, the verdicts on every window.

Nothing is imported here, so that a process that needs one module pays for that one only.
"""
