"""A seed's folds, joined by clip: what every score is read from. Never by the order of rows or files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.data import schemes
from merbench.errors import UserError
from merbench.foldfile import FoldResult
from merbench.results import Run
from merbench.sample import is_of

STRANGERS = "delete the folds that are not this run's and run the same command again"


@dataclass(frozen=True)
class Table:
    """A seed's predictions, clips sorted by key.

    Attributes:
        clips, subjects, databases, truth: (N,).
        predicted: (E, N) class indices by recorded epoch.
        chosen: (N,) positions of the epochs that the inner trainings of each clip's fold chose; None where a fold has none.
    """

    clips: NDArray[np.str_]
    subjects: NDArray[np.str_]
    databases: NDArray[np.str_]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    chosen: NDArray[np.int64] | None = None


def predictions(run: Run, folds: Sequence[FoldResult]) -> Table:
    """Join a seed's folds, by clip key.

    Raises:
        UserError: folds have other epochs, or a clip stands twice or is none of those its fold holds out.
    """
    clips = np.array([clip for fold in folds for clip in fold.clips])
    subjects = np.array([clip.rsplit("/", 1)[0] for clip in clips.tolist()])
    if len(set(clips.tolist())) < len(clips) or not all(is_of(clip, fold.held_out) for fold in folds for clip in fold.clips):
        raise UserError(
            "a clip stands twice or in a fold that holds others out",
            where=run.path,
            remedy=STRANGERS,
        )
    if any(not np.array_equal(fold.epochs, folds[0].epochs) for fold in folds):
        raise UserError(
            "folds of one run have other epochs",
            where=run.path,
            remedy=STRANGERS,
        )
    _check_labels(run, folds)
    order = np.argsort(clips)
    truth = np.concatenate([fold.labels for fold in folds])
    predicted = np.concatenate([fold.probabilities.argmax(-1) for fold in folds], axis=1)
    databases = np.array([clip.split("/")[0] for clip in clips])
    return Table(clips[order], subjects[order], databases[order], truth[order], predicted[:, order].astype(np.int64), _chosen(folds, order))


def _chosen(folds: Sequence[FoldResult], order: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the position of the epoch that each clip's fold has chosen by its inner trainings, or the only one there ever was."""
    if folds[0].epochs.tolist() == [1]:
        return np.zeros(len(order), dtype=np.int64)
    chosen = [np.full(len(fold.clips), scores.inner_epoch(fold.inner)) for fold in folds if fold.inner is not None]
    return np.concatenate(chosen)[order] if len(chosen) == len(folds) else None


def _check_labels(run: Run, folds: Sequence[FoldResult]) -> None:
    """Compare what the folds take for true with what the scheme says.

    Raises:
        UserError: a clip has another label there, or a subject or database other clips.
    """
    if not schemes.is_listed(run.request.scheme):
        return  # the list is the user's sheet; the clips of each fold are sealed with it
    known = schemes.scheme(run.request.scheme)
    listed: dict[str, dict[str, int]] = {}
    for clip in known.clips:
        for held_out in (clip.subject, clip.database):
            listed.setdefault(held_out, {})[clip.key] = known.labels[clip.key]
    for fold in folds:
        told = dict(zip(fold.clips, fold.labels.tolist(), strict=True))
        if listed.get(fold.held_out, told) != told:
            raise UserError(
                f"the clips or labels of {fold.held_out} are not those of {known.name}",
                where=run.fold_path(fold.name),
                remedy="delete it and run the same command again: only this fold is trained",
            )


def joined(run: Run, seeds: Iterable[Sequence[FoldResult]], clips: int) -> list[Table]:
    """Return a table for each seed.

    Args:
        run: whose folds they are.
        seeds: all folds of each.
        clips: how many the folds of a seed hold together.

    Raises:
        UserError: as `predictions`; the seeds have other clips or labels, or other than so many.
    """
    tables = [predictions(run, folds) for folds in seeds]
    if not tables:
        return []
    first = tables[0]
    if any(not (np.array_equal(each.clips, first.clips) and np.array_equal(each.truth, first.truth)) for each in tables):
        raise UserError("the seeds of a run have other clips or labels", where=run.path, remedy=STRANGERS)
    if len(first.clips) != clips:
        raise UserError(
            f"the folds hold {len(first.clips)} clips, not {clips}",
            where=run.path,
            remedy=STRANGERS,
        )
    return tables
