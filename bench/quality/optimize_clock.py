"""What each stage of a retrain takes, and how much of it learners take to fit and to score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from retraining import learners


@dataclass
class Clock:
    """What each stage takes, and the fits and scores of the search.

    Parameters
    ----------
    stages, processor
        Seconds by stage: on the clock, and of the processor.
    bare
        Seconds of the processor that learners took to fit and to score.
    """

    stages: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    bare: float = 0.0
    _open: tuple[str, float, float] | None = None

    def stage(self, name: str) -> None:
        """End the stage before, and begin one."""
        now, spent = time.perf_counter(), time.process_time()
        if self._open is not None:
            before, began, had = self._open
            self.stages[before], self.processor[before] = now - began, spent - had
        self._open = name, now, spent

    @property
    def overhead(self) -> float:
        """What the search took of the processor beside fitting and scoring, as a part of that."""
        return sum(self.processor[name] for name in ("prepare", "tune", "train")) / self.bare - 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count what learners take while a search runs."""

        def timed(work: Callable[..., Any]) -> Callable[..., Any]:
            def run(*given: Any, **named: Any) -> Any:
                began = time.process_time()
                try:
                    return work(*given, **named)
                finally:
                    self.bare += time.process_time() - began

            return run

        with (
            patch.object(learners, "fit", timed(learners.fit)),
            patch.object(learners, "scores", timed(learners.scores)),
        ):
            yield

    def __str__(self) -> str:
        """Tell the stages, and their total."""
        told = [f"{name} {self.stages[name]:.1f} s ({self.processor[name]:.1f})" for name in self.stages]
        whole, spent = sum(self.stages.values()), sum(self.processor.values())
        return f"{', '.join(told)}: {whole:.0f} s ({spent:.0f} of the processor)"
