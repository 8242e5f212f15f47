"""Drift of the last windows from their reference, at every length of looking back, and the verdict on it."""
