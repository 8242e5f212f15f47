"""What is left of a table for the drift engine: a plan of what is counted, and mergeable counts by it."""
