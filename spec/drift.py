"""When the inputs of a model count as drifted: the distance, how far is too far, how often to be wrong."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from spec.record import Record
from spec.units import Duration, Fraction, OutOf, Rate

SEASONS = {"day": timedelta(days=1), "week": timedelta(days=7)}


class DriftMethod(StrEnum):
    """Distances between two distributions; all are 0 for equal ones and grow with drift."""

    WASSERSTEIN = "wasserstein"
    JENSEN_SHANNON = "jensenshannon"
    PSI = "psi"
    KL_DIV = "kl_div"
    HELLINGER = "hellinger"
    TOTAL_VARIATION = "total_variation"
    L_INFINITY = "l_infinity"
    CHI_SQUARE = "chi_square"
    KS = "ks"

    @property
    def is_ordered(self) -> bool:
        """Whether the distance is one of ordered values, which categories are not."""
        return self in {self.WASSERSTEIN, self.KS}


def _unordered(method: DriftMethod) -> DriftMethod:
    if method.is_ordered:
        known = ", ".join(known.value for known in DriftMethod if not known.is_ordered)
        msg = f"must be one of {known}: categories have no order"
        raise ValueError(msg)
    return method


class Against(Record):
    """What a window is compared with: `training`, or one of the two below."""

    rolling: Duration | None = None
    """The windows of this long before those that are judged; the training rows until there are as many."""
    seasonal: Literal["day", "week"] | None = None
    """The training rows of the same time of the day, or of the week."""

    @model_validator(mode="before")
    @classmethod
    def _accept_the_word(cls, value: object) -> object:
        if isinstance(value, str):
            if value != "training":
                msg = "must be training, {rolling: 28d} or {seasonal: week}"
                raise ValueError(msg)
            return {}
        return value

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if self.rolling is not None and self.seasonal is not None:
            msg = "must be rolling or seasonal, not both"
            raise ValueError(msg)
        return self

    @property
    def name(self) -> str:
        """The word for it: `training`, `rolling` or `seasonal`."""
        return "rolling" if self.rolling else "seasonal" if self.seasonal else "training"


class DataDrift(Record):
    """When the inputs of a window count as drifted from the version's reference.

    A feature has drifted when its distance matters (`effect`) and is no accident (`false_alarms`) in 1, 2, 4,
    … or `over` windows together.
    """

    method: DriftMethod = DriftMethod.WASSERSTEIN
    """Distance of numeric features; `wasserstein` is in reference standard deviations."""
    categorical_method: Annotated[DriftMethod, AfterValidator(_unordered)] = DriftMethod.JENSEN_SHANNON
    """Distance of categorical and boolean features: one that needs no order."""
    effect: Annotated[float, Field(gt=0)] = 0.1
    """The least distance that matters, whatever the number of rows."""
    false_alarms: Annotated[Rate, Field(json_schema_extra={"default": "1/year"})] = Rate(1, "year")
    """How often, at most, any feature of a version may be said to have drifted that has not."""
    correlation: Annotated[float, Field(gt=0, le=2)] | None = 0.2
    """The least change of a rank correlation between two numeric features that matters; null for none."""
    share: Fraction = 0.5
    """The window has drifted when this share of the features has."""
    over: Annotated[int, Field(ge=1)] = 8
    """The longest lookback in windows, cut to 1, 2, 4, 8, …: more rows see smaller drift, later."""
    persistence: OutOf | None = None
    """`2 of 3`: a feature must have drifted in so many of the last windows, and in the latest."""
    reference: Annotated[Against, Field(json_schema_extra={"default": "training"})] = Against()
    """What to compare with: `training`, `{rolling: 28d}` or `{seasonal: week}`."""

    @property
    def depth(self) -> int:
        """How many windows, the latest among them, a verdict on a window may look at.

        The longest lookback is judged at every half of its length, and its verdict holds until the next.
        """
        longest = 1 << (self.over.bit_length() - 1)
        return longest + max(longest // 2, 1) - 1

    @property
    def reach(self) -> int:
        """How many windows, beginning with its own, the rows of one window have a say in."""
        return self.depth + (self.persistence.of - 1 if self.persistence else 0)
