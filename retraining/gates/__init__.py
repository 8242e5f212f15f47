"""What a candidate must pass before it may be registered; each gate a file."""
