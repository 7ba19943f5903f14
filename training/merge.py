"""Changes to fitted trees, made in LightGBM's own text: a level added, several fits averaged into one model."""

import re
from itertools import zip_longest

import lightgbm

_TREE = re.compile(r"^Tree=\d+\n", re.MULTILINE)
_END = "end of trees\n"
_STILL = "\n".join(
    ["num_leaves=1", "num_cat=0"]
    + [f"{name}=" for name in ("split_feature", "split_gain", "threshold", "decision_type")]
    + ["left_child=", "right_child=", "leaf_value=0", "leaf_weight=", "leaf_count="]
    + ["internal_value=", "internal_weight=", "internal_count=", "is_linear=0", "shrinkage=1", "", "", ""]
)
"""A tree that says 0: what a fit that found nothing more to split adds in later rounds."""


def raised(booster: lightgbm.Booster, level: float) -> lightgbm.Booster:
    """The same model with `level` added to its raw score, by the first tree's leaves; so it holds after each round."""
    head, trees, tail = _parts(booster)
    return _read(head, [_leaves(trees[0], add=level), *trees[1:]], tail)


def averaged(fits: list[lightgbm.Booster]) -> lightgbm.Booster:
    """One model whose raw score is the mean of the fits', after so many rounds of each as trees are taken a fit.

    The fits have the same columns. Trees stand round by round: the first `rounds * len(fits)` are `rounds` of each.
    """
    parts = [_parts(fit) for fit in fits]
    rounds = zip_longest(*(trees for _, trees, _ in parts), fillvalue=_STILL)
    trees = [_leaves(tree, share=len(fits)) for of_round in rounds for tree in of_round]
    return _read(parts[0][0], trees, parts[0][2])


def _parts(booster: lightgbm.Booster) -> tuple[str, list[str], str]:
    """The text before the trees, each tree without its number, the text behind them."""
    text, tail = booster.model_to_string(num_iteration=-1).split(_END, 1)
    head, *trees = _TREE.split(text)
    return head, trees, tail


def _leaves(tree: str, *, add: float = 0.0, share: int = 1) -> str:
    """A tree with its leaves' values changed; `repr` of a float reads back as the same float."""

    def changed(line: re.Match[str]) -> str:
        return line[1] + " ".join(repr((float(value) + add) / share) for value in line[2].split())

    return re.sub(r"^(leaf_value=|internal_value=)(.*)$", changed, tree, flags=re.MULTILINE)


def _read(head: str, trees: list[str], tail: str) -> lightgbm.Booster:
    told = [f"Tree={number}\n{tree}" for number, tree in enumerate(trees)]
    sizes = " ".join(str(len(tree.encode())) for tree in told)
    head = re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", head, flags=re.MULTILINE)
    return lightgbm.Booster(model_str=f"{head}{''.join(told)}{_END}{tail}")
