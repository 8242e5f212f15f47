"""Arrays of numbers as few bytes: integers by as many bytes as the largest needs, alike bytes side by side.

What is written with a `Packer` is read with an `Unpacker` by the marks that the packer returned, which fit
in JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitors.profiles.plan import Floats, Ints

_SIGN = 63
_WIDEST = 8

Mark = list[int]
"""Where an array begins, how many numbers it has and how many bytes each has."""


class Packer:
    """Appends arrays to one run of bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def ints(self, values: Ints) -> Mark:
        """Append integers of 64 bits, of any shape, and return their mark."""
        flat = np.ascontiguousarray(values, dtype=np.int64).ravel()
        folded = ((flat << 1) ^ (flat >> _SIGN)).view(np.uint64)  # small whatever the sign
        widest = (int(folded.max(initial=0)).bit_length() + 7) // 8
        return self._append(folded, widest)

    def floats(self, values: Floats) -> Mark:
        """Append floats of 64 bits, shape (n,), and return their mark."""
        return self._append(np.ascontiguousarray(values, dtype=np.float64).view(np.uint64), _WIDEST)

    def content(self) -> bytes:
        """Return what was appended."""
        return b"".join(self._parts)

    def _append(self, words: npt.NDArray[np.uint64], width: int) -> Mark:
        planes = words.astype("<u8").view(np.uint8).reshape(-1, _WIDEST)[:, :width]
        part = np.ascontiguousarray(planes.T).tobytes()
        mark = [self._size, len(words), width]
        self._parts.append(part)
        self._size += len(part)
        return mark


class Unpacker:
    """Reads the arrays of a packer.

    Raises
    ------
    ValueError
        From each method, if the mark does not lie in the bytes.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def ints(self, mark: Sequence[int]) -> Ints:
        """Return the integers at a mark, shape (n,)."""
        folded = self._words(mark)
        odd = (folded & np.uint64(1)).astype(np.int64)
        values: Ints = (folded >> np.uint64(1)).astype(np.int64) ^ -odd
        return values

    def floats(self, mark: Sequence[int]) -> Floats:
        """Return the floats at a mark, shape (n,)."""
        return self._words(mark).view(np.float64)

    def _words(self, mark: Sequence[int]) -> npt.NDArray[np.uint64]:
        start, count, width = mark
        planes = (
            np.frombuffer(self._content, np.uint8, count * width, start) if count * width else np.zeros(0)
        )
        words = np.zeros((count, _WIDEST), dtype=np.uint8)
        words[:, :width] = planes.reshape(width, count).T
        return words.reshape(-1).view("<u8").astype(np.uint64)
