"""Protocols: how folds are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from merbench.data.manifest import person_of
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip, Fold


def folds_of(protocol: str, clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return the folds of a protocol by its name.

    Raises:
        UserError: an unknown protocol, or clips that it cannot split.
    """
    if protocol not in PROTOCOLS:
        raise UserError(f"there is no protocol '{protocol}'", where="--protocol", remedy=nearest(protocol, PROTOCOLS))
    return PROTOCOLS[protocol](clips)


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


def lodo(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return one fold per database, in listed order: all of it is judged by a model that learnt from all others (HDE of MEGC2018).

    Whoever is a person of the held-out database under another name is not learnt from either.

    Raises:
        UserError: fewer than two databases.
    """
    databases = list(dict.fromkeys(clip.database for clip in clips))
    check("lodo", databases)
    return tuple(
        Fold(database, train=others(clips, database), test=tuple(i for i, clip in enumerate(clips) if clip.database == database))
        for database in databases
    )


PROTOCOLS: Mapping[str, Callable[[Sequence[Clip]], tuple[Fold, ...]]] = {"loso": loso, "lodo": lodo}
"""By name: leave one subject out, leave one database out."""


def check(protocol: str, databases: Sequence[str]) -> None:
    """Refuse databases that a protocol cannot split, before anything is prepared of them.

    Raises:
        UserError: ``lodo`` of fewer than two databases of different people.
    """
    if protocol == "lodo" and len({_home(database) for database in databases}) < 2:
        same = len(databases) > 1
        raise UserError(
            f"leaving one database out needs two databases{' of different people' if same else ''}; there is only {' and '.join(databases)}",
            where=f"--on {'+'.join(databases)} --protocol lodo",
            remedy="name several, as in --on smic+casme2, or leave --protocol out",
        )


def others(clips: Sequence[Clip], held_out: str) -> tuple[int, ...]:
    """Return the positions of the clips that may be learnt from: of the set itself, or of one to pre-train on.

    Args:
        clips: any.
        held_out: a subject, for everybody but that person; or a database, for everybody but its people, under whatever name.
    """
    if "/" in held_out:
        person = person_of(held_out)
        return tuple(i for i, clip in enumerate(clips) if person_of(clip.subject) != person)
    home = _home(held_out)
    return tuple(i for i, clip in enumerate(clips) if _home(clip.subject) != home)


def _home(name: str) -> str:
    """Return the database whose people a database, or a subject, shows: ``smic`` for ``smic-vis`` and ``smic-vis/s11``."""
    return person_of(name).partition("/")[0]


def pretraining(clips: Sequence[Clip], folds: Sequence[Fold]) -> tuple[Fold, ...]:
    """Return what each fold may learn from of a set to pre-train on: everybody's clips but those of who is held out; nothing of it is tested.

    Args:
        clips: of the set to pre-train on; ``train`` holds positions in it.
        folds: of the protocol, in whose order these are.
    """
    return tuple(Fold(fold.held_out, train=others(clips, fold.held_out), test=()) for fold in folds)
