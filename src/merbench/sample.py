"""Clip and Fold: what is judged, and how it is split. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

EMOTIONS = ("happiness", "surprise", "disgust", "anger", "fear", "sadness", "others")
"""Classes of macro-expression clips, in the order of their ``label``: the seven of CAS(ME)^3, whatever the scheme of a run is."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One micro-expression.

    Attributes:
        database: ``smic``, ``casme2``, ``samm``, ``casme3`` or one added to them; ``casme3-macro`` of macro-expressions, which are not judged.
        subject: always with its database, ``casme2/sub01``, since bare names collide between databases.
        name: the clip's name within its subject; alone it is not unique (CASME II has 255 clips and 167 names).
        onset, apex, offset: frame numbers as they stand in the file names, where known.
        emotion: as the database's owner names it, where an owner's sheet was read.
        flags: what was repaired or assumed about this clip.
        units: action units as the owner names them, ``("L4", "R12?")``, where a sheet was read.
        objective: the owner's objective class, ``I`` to ``VII``, where a sheet has one.
    """

    database: str
    subject: str
    name: str
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    emotion: str | None = None
    flags: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    objective: str | None = None

    @property
    def key(self) -> str:
        """``<database>/<subject>/<clip>``, unique over all databases."""
        return f"{self.subject}/{self.name}"


@dataclass(frozen=True, slots=True)
class Fold:
    """What is learnt from and what is judged by one model.

    Attributes:
        held_out: what the keys of all held-out clips begin with: a subject, ``casme2/sub01``, or a whole database, ``samm``.
        train, test: positions in the clip list; nobody stands on both sides.
    """

    held_out: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def is_of(key: str, held_out: str) -> bool:
    """Return whether a clip is one of those held out, by its key: of that very subject, or of some subject of that database."""
    subject = key.rpartition("/")[0]
    return subject == held_out if "/" in held_out else subject.startswith(f"{held_out}/")
