"""What performance is to be expected before labels arrive, one algorithm a file.

Start with `monitors.estimators.estimate`: `fit` and `of_reference` make an estimator of a version. Nothing is
imported here; most modules load scikit-learn.
"""
