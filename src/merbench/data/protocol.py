"""Protocols: how folds are made."""

from __future__ import annotations

from collections.abc import Sequence

from merbench.data.manifest import person_of
from merbench.errors import UserError
from merbench.sample import Clip, Fold


def loso(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return one fold per subject, in listed order; over a composite, one model per fold learns from all databases.

    Whoever is the held-out person under another name is not learnt from either.

    Raises:
        UserError: fewer than two people.
    """
    subjects = list(dict.fromkeys(clip.subject for clip in clips))
    people = len({person_of(subject) for subject in subjects})
    if people < 2:
        raise UserError(f"leaving one subject out needs two subjects; there are {people}", remedy="choose more data with --on")
    return tuple(
        Fold(subject, train=others(clips, subject), test=tuple(i for i, clip in enumerate(clips) if clip.subject == subject))
        for subject in subjects
    )


def others(clips: Sequence[Clip], held_out: str) -> tuple[int, ...]:
    """Return the positions of the clips of everybody but the held-out subject's person: of the set itself, or of one to pre-train on."""
    person = person_of(held_out)
    return tuple(i for i, clip in enumerate(clips) if person_of(clip.subject) != person)


def pretraining(clips: Sequence[Clip], folds: Sequence[Fold]) -> tuple[Fold, ...]:
    """Return what each fold may learn from of a set to pre-train on: everybody's clips but the held-out person's; nothing of it is tested.

    Args:
        clips: of the set to pre-train on; ``train`` holds positions in it.
        folds: of the protocol, in whose order these are.
    """
    return tuple(Fold(fold.subject, train=others(clips, fold.subject), test=()) for fold in folds)
