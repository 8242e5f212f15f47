"""What Evidently shows people: a report of a window, and the history of all."""
