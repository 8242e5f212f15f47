"""The results store: numbers of windows, events and runs, with what was known when."""
