"""Schemes: which clips, which classes, and how many of each there must be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from merbench.data import manifest
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip

COUNT = re.compile("[0-9]{1,6}")


@dataclass(frozen=True)
class Scheme:
    """A clip list with its classes. Never edited once a score stands on it; a new one stands beside it.

    Attributes:
        name: as in ``--scheme``.
        classes: class names; their order is the class index.
        clips: in listed order.
        labels: clip key to class index.
        source: who says so.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    labels: Mapping[str, int]
    source: str

    def select(self, databases: tuple[str, ...]) -> tuple[Clip, ...]:
        """Return the clips of these databases, in listed order."""
        return tuple(clip for clip in self.clips if clip.database in databases)


def megc3() -> Scheme:
    """Return the three classes of MEGC2019: CASME II negative is disgust and repression only; 'others' are dropped."""
    listed = manifest.megc2019()
    classes = manifest.CLASSES
    labels = {clip.key: classes.index(name) for clip, name in listed}
    return Scheme("megc3", classes, tuple(clip for clip, _ in listed), labels, "MEGC2019 organisers, combined_3class_gt.csv")


MINI = {
    "smic": ("s02", "s04", "s09", "s11", "s14"),
    "casme2": ("sub02", "sub05", "sub06", "sub12", "sub19"),
    "samm": ("006", "007", "012", "014", "016"),
}
"""Subjects of ``megc3-mini``: few, with every class in every database."""


FIRST_LOOK = "megc3-mini"
"""The scheme of a first look: its rows are marked, and preset quick goes with it unless another is asked for."""


def megc3_mini() -> Scheme:
    """Return ``megc3`` cut down to 15 subjects, for a first look in minutes. Never ranked with the whole."""
    whole = megc3()
    subjects = {f"{database}/{subject}" for database, names in MINI.items() for subject in names}
    clips = tuple(clip for clip in whole.clips if clip.subject in subjects)
    labels = {clip.key: whole.labels[clip.key] for clip in clips}
    return Scheme(FIRST_LOOK, whole.classes, clips, labels, f"15 subjects of {whole.source}, chosen by merbench")


SCHEMES = {"megc3": megc3, FIRST_LOOK: megc3_mini}


def scheme(name: str) -> Scheme:
    """Return a scheme whose counts were compared with the pinned ones.

    Raises:
        UserError: an unknown scheme, or counts that are not the pinned ones.
    """
    if name not in SCHEMES:
        raise UserError(f"there is no scheme '{name}'", where="--scheme", remedy=nearest(name, SCHEMES))
    made = SCHEMES[name]()
    check_counts(made)
    return made


def check_counts(made: Scheme) -> None:
    """Compare a scheme with ``schemes.csv``.

    Raises:
        UserError: a database has other numbers of clips or subjects; each difference is named.
    """
    rows = [r for r in manifest.table("schemes", ("scheme", "database", "class", "clips", "subjects")) if r["scheme"] == made.name]
    clips = Counter((clip.database, made.classes[made.labels[clip.key]]) for clip in made.clips)
    subjects = Counter(subject.split("/")[0] for subject in {clip.subject for clip in made.clips})
    wrong = []
    for row in rows:
        if not all(COUNT.fullmatch(row[column]) for column in ("clips", "subjects")):
            raise UserError(
                f"scheme {made.name} pins {row['clips'][:20]} clips and {row['subjects'][:20]} subjects, which are no numbers",
                where=f"data_manifests/schemes.csv, {row['database']} {row['class']}",
                remedy=manifest.RESTORE,
            )
        found = clips.pop((row["database"], row["class"]), 0)
        if found != int(row["clips"]):
            wrong.append(f"{row['database']} {row['class']}: {found} clips, not {row['clips']}")
        if subjects[row["database"]] != int(row["subjects"]):
            wrong.append(f"{row['database']}: {subjects[row['database']]} subjects, not {row['subjects']}")
    wrong += [f"{database} {name}: {count} clips without a pinned count" for (database, name), count in clips.items()]
    if wrong:
        raise UserError(
            f"scheme {made.name} does not have its pinned counts: {'; '.join(dict.fromkeys(wrong))}",
            where="data_manifests",
            remedy="restore the manifests (git checkout -- data_manifests); another clip list is another scheme",
        )
