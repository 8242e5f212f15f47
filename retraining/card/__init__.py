"""The model card: what a version is, what it was made of, how good it is for whom, and what it is not for."""
