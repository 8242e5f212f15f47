"""How often two samples of one law have a p-value below 5 and 1 %, for the laws that the monitor asks.

    python bench/quality/levels.py [--pairs 1000] [--reference ROWS ...] [--kinds KIND ...] [--json FILE]

A cell is a kind of column, a size of the reference and a size of the window; each pair draws both sides anew.
Shares come with their exact 95 % intervals (Clopper and Pearson 1934).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality.streams import frequencies
from monitors import laws

REFERENCES, WINDOWS = (300, 1_000, 5_000, 100_000), (50, 100, 300)
KINDS = ("k=2", "k=10", "k=50")
LEVELS = (0.05, 0.01)


def p_values(method: str, kind: str, n: int, m: int, pairs: int) -> npt.NDArray[np.float64]:
    """Return the p-value of each of so many pairs of samples of one law, shape (pairs,)."""
    random = np.random.default_rng([n, m, *kind.encode()])
    shares = frequencies(int(kind[2:]))
    sides = (random.multinomial(size, shares, pairs) for size in (n, m))
    return np.array([laws.p_value(method, *pair) for pair in zip(*sides, strict=True)])


def interval(hits: int, of: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    low = float(betaincinv(hits, of - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 0.975)) if hits < of else 1.0
    return low, high


def row(method: str, kind: str, n: int, m: int, pairs: int) -> dict[str, Any]:
    """Return the shares of one cell."""
    started = time.process_time()
    found = p_values(method, kind, n, m, pairs)
    seconds = time.process_time() - started
    below = {str(level): int((found <= level).sum()) for level in LEVELS}
    return {
        "kind": kind,
        "n_ref": n,
        "n_cur": m,
        "pairs": pairs,
        "below": below,
        "intervals": {level: interval(hits, pairs) for level, hits in below.items()},
        "milliseconds": 1e3 * seconds / pairs,
    }


def text(found: dict[str, Any]) -> str:
    """Return the line of a cell."""
    shares = [
        f"{100 * hits / found['pairs']:5.2f} [{100 * found['intervals'][level][0]:.2f}, "
        f"{100 * found['intervals'][level][1]:.2f}]"
        for level, hits in found["below"].items()
    ]
    where = f"{found['kind']:>5} {found['n_ref']:>8,} {found['n_cur']:>6,}"
    return f"{where} {shares[0]:>22} {shares[1]:>22} {found['milliseconds']:6.2f}"


def main() -> None:
    """Go through the grid; print each cell as soon as it is known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--method", default="jensenshannon", choices=sorted(laws.METHODS - {"wasserstein"}))
    parser.add_argument("--reference", nargs="+", type=int, default=REFERENCES, metavar="ROWS")
    parser.add_argument("--kinds", nargs="+", default=KINDS, metavar="KIND", help="k=2, k=10, …: values")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    print(f"{arguments.method}: % of p-values at most 5 % and 1 % [95 % interval], milliseconds each")
    rows = []
    for kind in arguments.kinds:
        for n in arguments.reference:
            for m in WINDOWS:
                rows.append(row(arguments.method, kind, n, m, arguments.pairs))
                print(text(rows[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
