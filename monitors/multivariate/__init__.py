"""What no column shows alone: tests on whole rows, vectors, texts and correlations, one a file.

Nothing is imported here; import the module you need (`monitors.multivariate.domain_classifier`, …), most of
them load scikit-learn.
"""
