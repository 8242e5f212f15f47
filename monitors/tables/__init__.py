"""The Delta tables that monitors read: the inference log, and the labels, which they also write."""
