"""The ways to ship a candidate: chains of passes, which to choose, and the front drawn."""
