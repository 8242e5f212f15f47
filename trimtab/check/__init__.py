"""`trimtab check`: two files side by side, with a verdict for each column, for people and for machines.

Nothing is imported here, so that the command starts at once.
"""
