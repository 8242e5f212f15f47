"""The closed loop on a year of real flights; the script owns traffic, labels and the clock, nothing else."""
