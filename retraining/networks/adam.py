"""Adam: gradient descent whose step is scaled by running moments of each parameter's own gradient.

Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, in the order of operations of its
section 2 that saves time: both bias corrections are one factor on the rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from retraining.graphs.dense import RealArray

_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """The moments of some parameters, which are changed in place.

    Parameters
    ----------
    parameters
        Arrays of any shapes.
    """

    def __init__(self, parameters: Sequence[RealArray]) -> None:
        self._parameters = parameters
        self._means = [np.zeros_like(each) for each in parameters]
        self._squares = [np.zeros_like(each) for each in parameters]
        self._steps = 0

    def step(self, gradients: Sequence[RealArray], rate: float) -> None:
        """Move each parameter against its gradient by about `rate`; the gradients are overwritten."""
        self._steps += 1
        corrected = rate * math.sqrt(1 - _SECOND**self._steps) / (1 - _FIRST**self._steps)
        for each in zip(self._parameters, gradients, self._means, self._squares, strict=True):
            _move(*each, corrected)


def _move(parameter: RealArray, gradient: RealArray, mean: RealArray, square: RealArray, rate: float) -> None:
    """Update the moments and the parameter, without an array more than there are."""
    mean *= _FIRST
    mean += (1 - _FIRST) * gradient
    np.square(gradient, out=gradient)
    square *= _SECOND
    gradient *= 1 - _SECOND
    square += gradient
    np.sqrt(square, out=gradient)
    gradient += _EPSILON
    np.divide(mean, gradient, out=gradient)
    gradient *= rate
    parameter -= gradient
