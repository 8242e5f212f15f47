"""What performance is to be expected before labels arrive, one algorithm a file.

Start with `monitors.estimators.estimate`: `fit` makes an estimator of labelled rows. Nothing is
imported here; most modules load scikit-learn.
"""
