"""What serving takes and costs, and when a version is unlike its own past.

`stack` samples processes, machine, GPUs and energy for the exporter; `anomalies` judges windows of the log.
"""
