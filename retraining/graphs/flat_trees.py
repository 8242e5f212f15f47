"""Trees as ``TreeEnsemble`` of ai.onnx.ml 5 has them: inner nodes apart from leaves, told by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import numpy_helper

OPERATOR = "TreeEnsemble"
MODES = (b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ")
"""What an inner node asks, in the order of the standard's numbers."""

Attributes = dict[str, Any]
_Ints = NDArray[np.int64]
_SIDES = ("true", "false")


def attributes(given: Mapping[str, Any], owner: str) -> Attributes | None:
    """Return the trees of an older operator as attributes of ``TreeEnsemble``; None where they have no form.

    Nodes stay in their order, tree by tree; equal leaves become one. A tree of one leaf is a node whose
    branches both lead to it.

    Parameters
    ----------
    given
        The older operator's attributes.
    owner
        What its leaves are of: ``"class"`` or ``"target"``.
    """
    modes, tree = np.asarray(given["nodes_modes"]), _ints(given["nodes_treeids"])
    leaf, first = modes == b"LEAF", np.unique(tree, return_index=True)[1]
    place = _Places(tree, _ints(given["nodes_nodeids"]))
    weighted = place.of(given[f"{owner}_treeids"], given[f"{owner}_nodeids"])
    one_a_leaf = np.array_equal(np.sort(weighted), np.flatnonzero(leaf))
    if not one_a_leaf or (np.diff(tree) < 0).any() or not np.isin(modes[~leaf], MODES).all():
        return None
    branches = [_branch(given, place, leaf, side) for side in _SIDES]
    reached = np.concatenate([first, *(branch[~leaf] for branch in branches)])
    if not np.array_equal(np.sort(reached), np.arange(len(leaf))):
        return None  # a tree begins with another node than its first
    codes = np.empty(len(leaf), "int64")
    weights = np.asarray(given[f"{owner}_weights"], "float32")
    codes[weighted] = _ints(given[f"{owner}_ids"]) << 32 | weights.view("uint32")
    return _pointing(given, leaf, first, branches, codes)


def first(given: Mapping[str, Any], count: int, scale: float = 1.0) -> Attributes:
    """Return what the attributes are when only the first trees are kept, and leaves are scaled.

    Parameters
    ----------
    given
        As of `attributes`.
    count
        1 ≤ count ≤ trees.
    """
    roots = _ints(given["tree_roots"])
    end = roots[count] if count < len(roots) else None
    found: Attributes = {"tree_roots": roots[:count].tolist()}
    for name in {"nodes_featureids", "nodes_missing_value_tracks_true"} & set(given):
        found[name] = given[name][:end]
    for name in ("nodes_modes", "nodes_splits"):
        found[name] = numpy_helper.from_array(numpy_helper.to_array(given[name])[:end])
    used = np.zeros(len(given["leaf_targetids"]), bool)
    for side in _SIDES:
        ends, child = (_ints(given[f"nodes_{side}{what}"][:end]) for what in ("leafs", "nodeids"))
        found[f"nodes_{side}leafs"] = ends.tolist()
        used[child[ends == 1]] = True
    position = np.cumsum(used) - 1
    for side in _SIDES:
        ends, child = (_ints(given[f"nodes_{side}{what}"][:end]) for what in ("leafs", "nodeids"))
        child[ends == 1] = position[child[ends == 1]]
        found[f"nodes_{side}nodeids"] = child.tolist()
    found["leaf_targetids"] = _ints(given["leaf_targetids"])[used].tolist()
    weights = numpy_helper.to_array(given["leaf_weights"])[used].astype("float64") * scale
    found["leaf_weights"] = _tensor(weights, "float32")
    return found


def _pointing(
    given: Mapping[str, Any], leaf: NDArray[np.bool_], first: _Ints, branches: list[_Ints], codes: _Ints
) -> Attributes:
    kept = ~leaf
    kept[first] = True
    position = np.cumsum(kept) - 1
    leaves = np.unique(codes[leaf])
    to_leaf = np.searchsorted(leaves, codes)
    found: Attributes = {"tree_roots": position[first].tolist()}
    for side, branch in zip(_SIDES, branches, strict=True):
        ends = leaf[branch][kept]
        found[f"nodes_{side}leafs"] = ends.astype("int64").tolist()
        found[f"nodes_{side}nodeids"] = np.where(ends, to_leaf[branch][kept], position[branch][kept]).tolist()
    asked = [0 if ends else MODES.index(mode) for mode, ends in zip(given["nodes_modes"], leaf, strict=True)]
    found["nodes_modes"] = _tensor(np.asarray(asked)[kept], "uint8")
    found["nodes_featureids"] = _ints(given["nodes_featureids"])[kept].tolist()
    found["nodes_splits"] = _tensor(np.asarray(given["nodes_values"])[kept], "float32")
    missing = _ints(given.get("nodes_missing_value_tracks_true", ()))
    if missing.any():
        found["nodes_missing_value_tracks_true"] = missing[kept].tolist()
    found["leaf_targetids"] = (leaves >> 32).tolist()
    found["leaf_weights"] = _tensor((leaves & 0xFFFFFFFF).astype("uint32").view("float32"), "float32")
    return found


class _Places:
    """Where a node of a tree is listed."""

    def __init__(self, tree: _Ints, node: _Ints) -> None:
        keys = tree << 32 | node
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def of(self, tree: ArrayLike, node: ArrayLike) -> _Ints:
        """Return the places [n] of nodes that are there."""
        found: _Ints = self._order[np.searchsorted(self._keys, _ints(tree) << 32 | _ints(node))]
        return found


def _branch(given: Mapping[str, Any], place: _Places, leaf: NDArray[np.bool_], side: str) -> _Ints:
    """Return where each node leads to; a leaf to itself."""
    found = np.arange(len(leaf))
    tree, node = (_ints(given[f"nodes_{name}"])[~leaf] for name in ("treeids", f"{side}nodeids"))
    found[~leaf] = place.of(tree, node)
    return found


def _tensor(values: ArrayLike, kind: str) -> Any:
    return numpy_helper.from_array(np.asarray(values, kind))


def _ints(values: ArrayLike) -> _Ints:
    return np.asarray(values, "int64")
