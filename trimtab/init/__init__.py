"""`trimtab init`: a first model YAML from a data set, with every guess said to be one.

Nothing is imported here, so that the command starts at once.
"""
