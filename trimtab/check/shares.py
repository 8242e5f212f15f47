"""A categorical column of two profiles as the shares of its most frequent values."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.profiles.profile import CategoricalColumn


@dataclass(frozen=True, slots=True)
class Share:
    """The shares of the rows with a value that have this one; `unseen` if the reference has none of it."""

    value: str
    reference: float
    current: float
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Shares:
    """The values of most rows on either side, the most frequent of the reference first, and the rest."""

    shown: tuple[Share, ...]
    rest: Share | None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Values that the reference does not have: their share of the current rows, and the most frequent."""

    share: float
    distinct: int
    examples: tuple[Share, ...]


def shares(reference: CategoricalColumn, current: CategoricalColumn, limit: int) -> Shares:
    """Return at most `limit` values, those with the largest share on either side, and the others as one."""
    every = _all(reference, current)
    ranked = sorted(every, key=lambda share: -max(share.reference, share.current))
    kept = {share.value for share in ranked[:limit]}
    shown = tuple(share for share in every if share.value in kept)
    rest = Share(
        "other",
        max(0.0, _whole(reference) - sum(share.reference for share in shown)),
        max(0.0, _whole(current) - sum(share.current for share in shown)),
    )
    few = 1 / (2 * max(reference.n, current.n, 1))
    return Shares(shown, rest if max(rest.reference, rest.current) > few else None)


def unseen(reference: CategoricalColumn, current: CategoricalColumn, limit: int = 5) -> Unseen | None:
    """Return the values that the reference has none of; None if there are none.

    Counted exactly while the current side has at most 255 values that the reference's plan does not track;
    beyond, share and number are lower bounds.
    """
    found = [share for share in _all(reference, current) if share.unseen]
    if not found:
        return None
    ranked = sorted(found, key=lambda share: (-share.current, share.value))
    return Unseen(sum(share.current for share in found), len(found), tuple(ranked[:limit]))


def _all(reference: CategoricalColumn, current: CategoricalColumn) -> list[Share]:
    n, m = max(reference.n, 1), max(current.n, 1)
    pairs = zip(reference.plan.values, reference.counts.tolist(), current.counts.tolist(), strict=True)
    found = [Share(value, before / n, after / m, before == 0) for value, before, after in pairs]
    # Beyond the tracked values: what is not in the reference's own sample of them is new only if that is all.
    whole = sum(reference.rare.values()) == int(reference.others.sum())
    for value in {**reference.rare, **current.rare}:
        before, after = reference.rare.get(value, 0), current.rare.get(value, 0)
        found.append(Share(value, before / n, after / m, whole and not before))
    return [share for share in found if share.reference or share.current]


def _whole(column: CategoricalColumn) -> float:
    return 1.0 if column.n else 0.0
