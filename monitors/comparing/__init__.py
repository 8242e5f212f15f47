"""Two profiles beside each other: how far each column moved, and whether that is chance."""
