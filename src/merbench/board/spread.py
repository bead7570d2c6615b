"""What is counted of a small request, and by how much its seeds alone move that.

Two or three seeds say next to nothing of their spread: two may be alike by chance. But every fold of every seed is a training of its own,
whose draws are keyed by fold and seed and by nothing of other folds. So seeds may be exchanged fold by fold, and what is pooled from any such
choice is the score of one more seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.board.archive import Archive

WIDTH = 3.0
"""Standard deviations of the difference of two means over seeds: were another processor's rounding as good as another seed, which it is not,
one score in four hundred would move by more."""

CLIPS = 2
"""So many clips of the rarest class may change sides in every seed: those on the edge of a closed form, in other arithmetic."""

LEAST = 0.01
"""What the log loss and the confidence may move by where seeds do not move them at all."""

EXCHANGES = 1000
"""Choices of a seed for each fold; the spread over them is known to some two per cent."""

FLOOR = 1e-6
"""The lowest chance of a true class that the log loss counts: one clip that is surely wrong does not decide a mean."""


def counted(kept: Archive) -> dict[str, NDArray[np.float64]]:
    """Return each score by seed, (S,), by name.

    The F1 of each class is among them, since two classes that changed places leave UF1 as it was; and what is read off the probabilities:
    their log loss, and their confidence, the mean over clips of the highest. A learning rate ten times too high may leave every other score
    where it was, but not how sure the networks are.
    """
    matrices, sums = _folds(kept)
    return _scores(kept, matrices.sum(1), sums.sum(1))


def allowed(kept: Archive) -> dict[str, float]:
    """Return by how much each score of `counted` may move where bits may.

    That is three standard deviations of the difference of two means over as many seeds, and what two clips move it by in any case.
    """
    seeds, classes = len(kept.seeds), len(kept.classes)
    edge = CLIPS / min(count for count in np.bincount(kept.truth, minlength=classes).tolist() if count)
    means = {"UF1": edge / classes, "UAR": edge / classes, "log loss": LEAST, "confidence": LEAST}
    return {
        what: max(means.get(what, edge), WIDTH * float(np.sqrt(2 / seeds)) * deviation if seeds > 1 else 0.0)
        for what, deviation in _deviations(kept).items()
    }


def _deviations(kept: Archive) -> dict[str, float]:
    """Return the standard deviation of one seed's scores, from seeds that are exchanged fold by fold."""
    matrices, sums = _folds(kept)
    seeds, folds = matrices.shape[:2]
    chosen, each = np.random.default_rng(0).integers(seeds, size=(EXCHANGES, folds)), np.arange(folds)
    found = _scores(kept, _pooled(matrices, chosen, each), _pooled(sums, chosen, each))
    return {what: float(np.std(values) * np.sqrt(seeds / max(seeds - 1, 1))) for what, values in found.items()}


def _pooled(values: NDArray[Any], chosen: NDArray[np.int64], each: NDArray[np.int64]) -> NDArray[Any]:
    """Return the sums over folds of each choice, (R, ...), of values (S, F, ...); fold by fold, so that no array of all of them is made."""
    return np.asarray(sum(values[chosen[:, fold], fold] for fold in each))


def _scores(kept: Archive, matrices: NDArray[np.int64], sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return scores (R,) of confusions (R, C, C) and of sums over clips (R, 2)."""
    f1 = scores.f1(matrices, absent=0.0)
    means = sums / len(kept.clips)
    return {
        "UF1": scores.uf1(matrices),
        "UAR": scores.uar(matrices),
        **{f"F1 of {name}": f1[:, index] for index, name in enumerate(kept.classes)},
        "log loss": means[:, 0],
        "confidence": means[:, 1],
    }


def _folds(kept: Archive) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return by seed and fold the confusion, (S, F, C, C), and the sums over clips of log loss and highest probability, (S, F, 2)."""
    whole = kept.probabilities.astype(np.float64)
    of_truth = whole[:, np.arange(len(kept.truth)), kept.truth]
    told = np.stack([-np.log(np.maximum(of_truth, FLOOR)), whole.max(-1)], axis=-1)
    held_out = set(kept.provenance["folds"])
    subjects = [clip.rsplit("/", 1)[0] for clip in kept.clips]
    folds = np.array([subject if subject in held_out else subject.partition("/")[0] for subject in subjects])
    here = [folds == fold for fold in sorted(set(folds.tolist()))]
    matrices = [scores.confusion(kept.truth[one], kept.predicted[:, one], len(kept.classes)) for one in here]
    return np.stack(matrices, axis=1), np.stack([told[:, one].sum(1) for one in here], axis=1)
