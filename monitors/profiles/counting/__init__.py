"""The kernel: how the values of a column are put in the bins of a plan and counted, whatever the engine."""
