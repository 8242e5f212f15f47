"""Passes that make a model smaller or faster; each a file with one contract, `optimization_pass.Pass`."""
