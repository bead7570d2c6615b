"""What an audit promises, and what is found of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.engine.witness import Trained

LUCK = 0.001
"""As rarely may luck explain a score on permuted labels before it counts as a leak."""

TOLERANCE = 1e-4
"""Probabilities in single precision differ by less than this when a clip's batch has another size."""

Verdict = Literal["held", "broken", "not told"]

PROMISES: dict[str, str] = {
    "again": "the same fold trained twice, after another one, gives the same bits",
    "garbage": "with the held-out subject replaced by garbage, weights, optimiser, losses and predictions of the true clips are the same bits",
    "another subject": "with the held-out subject replaced by another, they are the same bits too",
    "last epoch only": "without looking at the held-out subject after every epoch, they are the same bits, and so is the last epoch",
    "without inner": "without the inner trainings, the fold's own training and predictions are the same bits",
    "served": "what is served of a held-out clip depends on that clip alone, not on its label",
    "company": "a held-out clip is judged alike alone, beside its subject's clips, beside others, and under another number",
    "permuted labels": "learnt from permuted labels, the score is no better than guessing",
    "files": "the method opens no data by itself and starts no process: it has what the data module gives it",
    "preparation": "with the held-out subject's files replaced, everybody else's prepared arrays are the same bits",
    "persons": "nobody is learnt from under another name",
    "twins": "no two subjects look like one person or one clip",
}
"""What is looked at, in the order in which it is told."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        promise: a key of `PROMISES`.
        subject: whose fold, or the database held out; empty where it is not about one.
        verdict: ``held``, ``broken``, or ``not told`` where it could not be looked at.
        told: what was seen, in words.
    """

    promise: str
    subject: str
    verdict: Verdict
    told: str


def same(change: str, subject: str, base: Trained, other: Trained, *, repeatable: bool = True) -> Finding:
    """Compare what two trainings left, bit by bit; where the same training twice is not the same, nothing can be told.

    What ``base`` has of stages and of inner trainings is looked for in ``other``.
    """
    if base.failed:
        return Finding(change, subject, "not told", f"the fold cannot be trained: {base.failed}")
    if other.failed:
        return Finding(change, subject, "not told", f"the fold cannot be trained so: {other.failed}")
    unlike = [f"weights after {stage}" for stage in base.weights if base.weights[stage] != other.weights.get(stage)]
    unlike += [f"the optimiser after {stage}" for stage in base.optimiser if base.optimiser[stage] != other.optimiser.get(stage)]
    unlike += [f"losses of {stage}" for stage in base.curve if base.curve[stage] != other.curve.get(stage)]
    if change in ("again", "last epoch only", "without inner") and not np.array_equal(base.together, other.together):
        unlike.append("the probabilities of the last epoch")
    if not np.array_equal(base.probed, other.probed):
        unlike.append("what it predicts of the true clips")
    looked = slice(-1, None) if change == "last epoch only" else slice(None)
    if len(base.inner) and not np.array_equal(base.inner[looked], other.inner[looked]):
        unlike.append("what the epoch is chosen by")
    if unlike and change != "again" and not repeatable:
        return Finding(change, subject, "not told", "the same fold trained twice is not the same either")
    if unlike:
        return Finding(change, subject, "broken", f"not the same: {', '.join(unlike)}")
    return Finding(change, subject, "held", f"weights, optimiser and losses of {', '.join(base.weights)}, and predictions")


def served(subject: str, found: Trained) -> Finding:
    """Tell whether a clip is served alike whoever stands beside it."""
    if found.failed:
        return Finding("served", subject, "not told", f"it cannot be served so: {found.failed}")
    if found.served:
        return Finding("served", subject, "broken", f"{', '.join(found.served)} of a clip change with other clips or with its label")
    return Finding("served", subject, "held", "the same bits when all other clips are garbage")


def company(subject: str, base: Trained) -> Finding:
    """Tell whether clips are judged alike in any company."""
    if base.failed:
        return Finding("company", subject, "not told", f"the fold cannot be trained: {base.failed}")
    if base.lonely:
        return Finding("company", subject, "broken", f"it cannot judge a clip in other company: {base.lonely}")
    apart = {
        "alone": _farthest(base.alone, base.together),
        "beside others": _farthest(base.strangers, base.together),
        "under another number": _farthest(base.renumbered, base.together),
    }
    name, worst = max(apart.items(), key=lambda each: each[1])
    if not worst <= TOLERANCE:
        return Finding("company", subject, "broken", f"a probability moves by {worst:.4f} when its clip is judged {name}")
    return Finding("company", subject, "held", f"{len(base.together)} clips, within {worst:.0e}")


def _farthest(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max(initial=0.0))


def guessing(folds: Sequence[tuple[NDArray[np.int64], Trained]], classes: int) -> Finding:
    """Judge a score that was learnt from permuted labels.

    Two kinds of luck are allowed for: which clips are right, and, since clips of a class look alike, which class a fold takes for which. Where
    even a perfect score could be luck, nothing is told.

    Args:
        folds: true labels (n,) of each fold's held-out clips, and its training.
        classes: how many there are.
    """
    failed = [trained.failed for _, trained in folds if trained.failed]
    if failed:
        return Finding("permuted labels", "", "not told", f"a fold cannot be trained so: {failed[0]}")
    truth = [labels for labels, _ in folds]
    predicted = [trained.together.argmax(1) for _, trained in folds]
    (here, luck, null), (_, least, _) = _luck(truth, predicted, classes), _luck(truth, truth, classes)
    guess = f"guessing {null.mean():.2f} ± {null.std():.2f}"
    told = f"UF1 {here:.2f} over {sum(map(len, truth))} clips of {len(folds)} folds, {guess}, p = {luck:.2g}"
    if least >= LUCK:
        return Finding(
            "permuted labels",
            "",
            "not told",
            f"too few clips or folds: even a perfect score would be luck (p = {least:.2g}); ask for more --folds where there are more",
        )
    return Finding("permuted labels", "", "broken" if luck < LUCK else "held", told)


def _luck(
    truth: Sequence[NDArray[np.int64]], predicted: Sequence[NDArray[np.int64]], classes: int, repeats: int = 4_999
) -> tuple[float, float, NDArray[np.float64]]:
    """Return UF1 over the classes that are there, how often luck reaches it, and what shuffled predictions score (repeats,)."""
    rng, true = np.random.default_rng(0), np.concatenate(truth)
    there = np.unique(true)

    def score(guesses: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(scores.f1(scores.confusion(true, guesses, classes))[..., there].mean(-1))

    here = float(score(np.concatenate(predicted)))
    shuffled = score(rng.permuted(np.tile(np.concatenate(predicted), (repeats, 1)), axis=1))
    renamed = score(np.stack([np.concatenate([rng.permutation(classes)[each] for each in predicted]) for _ in range(repeats)]))
    return here, max(float((1 + (null >= here).sum()) / (1 + repeats)) for null in (shuffled, renamed)), shuffled


def opened(seen: Sequence[str]) -> Finding:
    """Tell what was opened or started while the method was imported, built or trained."""
    if seen:
        names = ", ".join(Path(each).name for each in seen[:4])
        return Finding("files", "", "broken", f"{len(seen)} opened or started: {names}: nobody can vouch for what it takes there")
    return Finding("files", "", "held", "none below data, prepared, clip lists or runs, as far as Python opens them")
