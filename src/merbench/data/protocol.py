"""Protocols: how folds are made."""

from __future__ import annotations

from collections.abc import Sequence

from merbench.errors import UserError
from merbench.sample import Clip, Fold


def loso(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return one fold per subject, in listed order; over a composite, one model per fold learns from all databases.

    Raises:
        UserError: fewer than two subjects.
    """
    subjects = list(dict.fromkeys(clip.subject for clip in clips))
    if len(subjects) < 2:
        raise UserError(f"leaving one subject out needs two subjects; there are {len(subjects)}", remedy="choose more data with --on")
    return tuple(
        Fold(
            subject,
            train=tuple(i for i, clip in enumerate(clips) if clip.subject != subject),
            test=tuple(i for i, clip in enumerate(clips) if clip.subject == subject),
        )
        for subject in subjects
    )
