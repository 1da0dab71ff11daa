"""One flat node table from any tree ensemble: the export half of `TreeScorer`."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.bundle.exported import Features

LEAF = -1


class Tree(NamedTuple):
    """One tree, nodes in any order, root first."""

    feature: Sequence[int]  # LEAF at a leaf
    threshold: Sequence[float]  # left when value <= threshold
    left: Sequence[int]
    right: Sequence[int]
    absent_right: Sequence[bool]  # where a feature that is not in the row goes
    nan_right: Sequence[bool]  # where NaN goes
    leaf: Sequence[Sequence[float]]  # outputs of a leaf node; anything at the others
    output: int  # the output it adds to, when a leaf holds one number


class NodeTable:
    """Collects trees into the arrays of a bundle.

    Parameters
    ----------
    features : Features
        Node features become columns of the whole view. Where rows are mostly empty, an index of
        the trees that a feature touches pays.
    """

    def __init__(self, features: Features) -> None:
        self._kept, self._sparse = features.kept, features.sparse
        self._arrays: dict[str, array[Any]] = {
            "feature": array("i"),
            "threshold": array("d"),
            "right": array("i"),
            "otherwise": array("B"),
            "leaves": array("d"),
            "roots": array("i"),
            "outputs": array("i"),
            "absent_leaf": array("i"),
        }
        self._n_leaves = 0
        self._met: list[list[int]] = [[] for _ in range(features.width)] if self._sparse else []

    def add(self, tree: Tree) -> None:
        """Append a tree in preorder, left child first."""
        arrays = self._arrays
        number, root = len(arrays["roots"]), len(arrays["feature"])
        arrays["roots"].append(root)
        arrays["outputs"].append(tree.output)
        pending: list[tuple[int, int | None]] = [(0, None)]  # (node, parent to tell)
        while pending:
            node, parent = pending.pop()
            place = len(arrays["feature"])
            if parent is not None:
                arrays["right"][parent] = place
            self._append(tree, node)
            if tree.feature[node] != LEAF:
                pending.append((int(tree.right[node]), place))
                pending.append((int(tree.left[node]), None))
        self._note_absent_path(number, root)

    def arrays(self, base: Iterable[float]) -> dict[str, array[Any]]:
        """Return the finished arrays; `base` is what the trees add to, one per output."""
        starts, touched = array("i"), array("i")
        if self._sparse:
            for trees in self._met:
                starts.append(len(touched))
                touched.extend(trees)
            starts.append(len(touched))
        extra: dict[str, array[Any]] = {
            "base": array("d", base),
            "touched_start": starts,
            "touched": touched,
        }
        return {**self._arrays, **extra}

    def _append(self, tree: Tree, node: int) -> None:
        arrays = self._arrays
        is_leaf = tree.feature[node] == LEAF
        arrays["feature"].append(LEAF if is_leaf else int(self._kept[tree.feature[node]]))
        arrays["threshold"].append(0.0 if is_leaf else float(tree.threshold[node]))
        arrays["otherwise"].append(
            0 if is_leaf else int(tree.absent_right[node]) | int(tree.nan_right[node]) << 1
        )
        arrays["right"].append(self._n_leaves if is_leaf else LEAF)
        if is_leaf:
            arrays["leaves"].extend(float(value) for value in tree.leaf[node])
            self._n_leaves += 1

    def _note_absent_path(self, number: int, node: int) -> None:
        arrays = self._arrays
        met = set()
        while (feature := arrays["feature"][node]) != LEAF:
            met.add(feature)
            node = arrays["right"][node] if arrays["otherwise"][node] & 1 else node + 1
        arrays["absent_leaf"].append(arrays["right"][node])
        if self._sparse:
            for feature in met:
                self._met[feature].append(number)


def sklearn_tree(tree: Any, leaf: NDArray[np.float64], output: int) -> Tree:
    """Return a fitted scikit-learn `Tree`; `leaf` has shape (n_nodes, outputs per leaf)."""
    split = tree.children_left != -1
    absent_right = split & (tree.threshold < 0.0)
    nan_right = split & ~np.asarray(tree.missing_go_to_left, dtype=bool)
    return Tree(
        feature=np.where(split, tree.feature, LEAF).tolist(),
        threshold=tree.threshold.tolist(),
        left=tree.children_left.tolist(),
        right=tree.children_right.tolist(),
        absent_right=absent_right.tolist(),
        nan_right=nan_right.tolist(),
        leaf=leaf.tolist(),
        output=output,
    )


def xgboost_tree(tree: dict[str, Any], output: int, *, sparse: bool) -> Tree:
    """Return one tree of a booster saved as JSON.

    XGBoost goes left when value < threshold in float32; the next smaller float32 makes that
    `<=`. A CSR row's absent features are missing to it, a dense row's are zeros.
    """
    left = np.asarray(tree["left_children"])
    split = left != -1
    threshold = np.asarray(tree["split_conditions"], dtype=np.float32)
    below = np.nextafter(threshold, np.float32(-np.inf)).astype(np.float64)
    default_right = split & ~np.asarray(tree["default_left"], dtype=bool)
    absent_right = default_right if sparse else split & (below < 0.0)
    return Tree(
        feature=np.where(split, np.asarray(tree["split_indices"]), LEAF).tolist(),
        threshold=below.tolist(),
        left=left.tolist(),
        right=list(tree["right_children"]),
        absent_right=absent_right.tolist(),
        nan_right=default_right.tolist(),
        leaf=threshold.astype(np.float64)[:, None].tolist(),
        output=output,
    )


def lightgbm_tree(root: dict[str, Any], output: int) -> Tree:
    """Return one tree of a dumped LightGBM model.

    An absent feature is 0 to it. NaN is 0 too, unless the column had gaps in training.
    """
    nodes: list[dict[str, Any]] = []

    def number(node: dict[str, Any]) -> int:
        place = len(nodes)
        nodes.append(node)
        if "split_feature" in node:
            node["left"], node["right"] = number(node["left_child"]), number(node["right_child"])
        return place

    number(root)
    zero_right = [node.get("threshold", 0.0) < 0.0 for node in nodes]
    return Tree(
        feature=[node.get("split_feature", LEAF) for node in nodes],
        threshold=[node.get("threshold", 0.0) for node in nodes],
        left=[node.get("left", LEAF) for node in nodes],
        right=[node.get("right", LEAF) for node in nodes],
        absent_right=zero_right,
        nan_right=[
            not node["default_left"] if node.get("missing_type") == "NaN" else is_right
            for node, is_right in zip(nodes, zero_right, strict=True)
        ],
        leaf=[[node.get("leaf_value", 0.0)] for node in nodes],
        output=output,
    )
