"""The labelled rows of a retrain: where they come from, which of them count, and how they are cut."""
