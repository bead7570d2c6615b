"""Scores as papers print them (``published.csv``): to stand beside measured ones, never mixed with them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from merbench.config import shipped
from merbench.data import manifest
from merbench.errors import UserError

NUMBERS = ("uf1", "uar", "accuracy", "f1")
COLUMNS = ("method", "protocol", "classes", "part", *NUMBERS, "selection", "status", "source", "note")
BLANK = (*NUMBERS, "note")

PROTOCOLS = {
    "megc2019-cde": (3, ("3db", "smic", "casme2", "samm")),
    "objective-5-loso": (5, ("casme2", "samm")),
    "objective-5-cde": (5, ("casme2+samm",)),
    "objective-5-hde": (5, ("casme2", "samm")),
    "smic-loso": (3, ("smic",)),
}
"""Classes, and the parts that are scored, of each protocol of papers.

``cde`` leaves one subject out of the pooled databases, ``hde`` one database (its part is the one held out), ``loso`` one subject of a database.
"""

MEASURED = {
    "megc2019-cde": ("megc3", "loso", "3db"),
    "objective-5-loso": ("objective-5", "loso", ""),
    "objective-5-cde": ("objective-5", "loso", "casme2+samm"),
    "objective-5-hde": ("objective-5", "lodo", "casme2+samm"),
    "smic-loso": ("megc3", "loso", "smic"),
}
"""Scheme, protocol and databases by which merbench measures the same; no databases: the part by itself."""

SELECTIONS = ("last", "oracle", "unknown")
"""How the epoch was chosen: fixed beforehand, on the held-out subjects, or not told."""

STATUSES = ("published", "second-hand", "unverified")
"""Read in the named source itself, quoted by somebody else, or neither."""

SCORE = re.compile(r"0(\.[0-9]{1,4})?|1(\.0{1,4})?")


@dataclass(frozen=True)
class Published:
    """One method's scores on one part, as printed.

    Attributes:
        method: as its paper calls it.
        protocol: one of `PROTOCOLS`; how the folds were made, and of which clips.
        classes: how many.
        part: the databases whose clips are scored.
        uf1, uar, accuracy: in 0 to 1, as the rest of merbench has them; None where the source has none.
        f1: printed as F1 without saying how classes are averaged; it is not taken for UF1.
        selection: one of `SELECTIONS`.
        status: one of `STATUSES`.
        source: where the numbers were read.
        note: what is known about them beside that.
        printed: score to how it stands there: its last place says how it was rounded.
    """

    method: str
    protocol: str
    classes: int
    part: str
    uf1: float | None
    uar: float | None
    accuracy: float | None
    f1: float | None
    selection: str
    status: str
    source: str
    note: str
    printed: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> bool:
        """Return whether it may stand beside measured scores: what nobody has verified may not."""
        return self.status != "unverified"


METHODS = ("published", "method", "network", "training")
FIDELITIES = ("paper", "port", "reconstruction")


@dataclass(frozen=True)
class Ours:
    """Which method of merbench stands beside a published one, and how far its network and training are the paper's, as its card says."""

    method: str
    network: str
    training: str


@functools.cache
def ours() -> dict[str, Ours]:
    """Return published method to ours.

    Raises:
        UserError: the table cannot be read, or a line of it cannot be true.
    """
    found: dict[str, Ours] = {}
    for row in manifest.table("published_methods", METHODS):
        one = Ours(row["method"], row["network"], row["training"])
        if not {one.network, one.training} <= set(FIDELITIES) or row["published"] in found:
            raise UserError(
                f"the manifest 'published_methods' is wrong: {row['published'][:60]} stands there twice, or its fidelity is unknown",
                where=shipped("data_manifests") / "published_methods.csv",
                remedy=manifest.RESTORE,
            )
        found[row["published"]] = one
    return found


@functools.cache
def published() -> tuple[Published, ...]:
    """Return every published score, in listed order.

    Raises:
        UserError: the table cannot be read, or a line of it cannot be true; the line is named.
    """
    found: dict[tuple[str, ...], Published] = {}
    for line, row in enumerate(manifest.table("published", COLUMNS, blank=BLANK), 2):
        try:
            one = _row(row)
            if found.setdefault((one.method, one.protocol, one.part, one.source), one) is not one:
                raise ValueError(f"{one.method} on {one.part} stands there twice from one source")
        except ValueError as error:
            raise UserError(
                f"the manifest 'published' is wrong: {error}",
                where=f"{shipped('data_manifests') / 'published.csv'}, line {line}",
                remedy=manifest.RESTORE,
            ) from error
    return tuple(found.values())


def _row(row: dict[str, str]) -> Published:
    """Check one line.

    Raises:
        ValueError: a word is unknown, a number is no score, or no number is there.
    """
    for column, known in (("protocol", PROTOCOLS), ("selection", SELECTIONS), ("status", STATUSES)):
        if row[column] not in known:
            raise ValueError(f"the {column} '{row[column][:60]}' is none of {', '.join(known)}")
    classes, parts = PROTOCOLS[row["protocol"]]
    if row["classes"] != str(classes) or row["part"] not in parts:
        raise ValueError(f"{row['protocol']} has {classes} classes and the parts {', '.join(parts)}")
    if not any(row[name] for name in NUMBERS):
        raise ValueError("it has no number")
    uf1, uar, accuracy, f1 = (_score(name, row[name]) for name in NUMBERS)
    return Published(
        method=row["method"],
        protocol=row["protocol"],
        classes=classes,
        part=row["part"],
        uf1=uf1,
        uar=uar,
        accuracy=accuracy,
        f1=f1,
        selection=row["selection"],
        status=row["status"],
        source=row["source"],
        note=row["note"],
        printed={name: row[name] for name in NUMBERS if row[name]},
    )


def _score(name: str, text: str) -> float | None:
    if text and not SCORE.fullmatch(text):
        raise ValueError(f"{name} is '{text[:20]}'; a score lies between 0 and 1 and has at most four places")
    return float(text) if text else None
