"""Predictions beside the clip list of MEGC2019: which clips are missing, unknown or doubled, whose class is another, and in what order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from merbench.board.foreign.predictions import Predictions, reordered
from merbench.board.joined import Table
from merbench.data import manifest
from merbench.data.classes import listed as few

CERTAIN = 0.95
"""Share of clips whose class another order explains; so many are no accident."""


def compared(found: Predictions) -> Predictions:
    """Return predictions with what the list says of them; where the order of classes was only assumed and is another, in that order.

    Of other databases, and of other numbers of classes, no list is known; that is said, and nothing else.
    """
    if not set(found.databases) <= set(manifest.DATABASES) or len(found.classes) != len(manifest.CLASSES):
        note = f"no clip list is known of {' and '.join(found.databases)} with {len(found.classes)} classes: missing clips cannot be seen"
        return _doubled(replace(found, notes=(*found.notes, note)))
    return _by_clip(found) if found.named else _by_subject(found)


def _list(databases: tuple[str, ...]) -> dict[str, int]:
    return {clip.key: manifest.CLASSES.index(name) for clip, name in manifest.megc2019() if clip.database in databases}


def _doubled(found: Predictions) -> Predictions:
    if not found.doubled:
        return found
    return _warned(found, f"{len(found.doubled)} clips stand there more than once, and count more than once: {few(found.doubled)}")


def _by_clip(found: Predictions) -> Predictions:
    table, listed = found.tables[0], _list(found.databases)
    told = dict(zip(table.clips.tolist(), table.truth.tolist(), strict=True))
    both = [key for key in told if key in listed]
    matrix = np.zeros((3, 3), dtype=np.int64)
    for key in both:
        matrix[told[key], listed[key]] += 1
    found = _doubled(_settled(found, matrix, len(both), "the list of MEGC2019"))
    told = dict(zip(table.clips.tolist(), found.tables[0].truth.tolist(), strict=True))
    missing = [key for key in listed if key not in told]
    dropped = [key for key in told if key in manifest.DROPPED]
    unknown = [key for key in told if key not in listed and key not in dropped]
    other = [
        f"{key} ({found.classes[told[key]]}, listed {manifest.CLASSES[listed[key]]})"
        for key in both
        if found.classes[told[key]] != manifest.CLASSES[listed[key]] and set(found.classes) == set(manifest.CLASSES)
    ]
    if missing:
        found = _warned(found, f"{len(missing)} of the {len(listed)} clips {_of(found)} {_are(missing)} missing: {few(missing)}")
    if dropped:
        found = _warned(found, f"clips that the organisers left out: {few(dropped)}")
    if unknown:
        found = _warned(found, f"{_many(unknown, 'clip')} {_are(unknown)} not among those of MEGC2019: {few(unknown)}")
    if other:
        found = _warned(found, f"{_many(other, 'clip')} {_have(other)} another true class than the list of MEGC2019: {few(other)}")
    if not (missing or dropped or unknown or other or found.doubled):
        found = replace(found, notes=(*found.notes, f"clips and true classes are those of MEGC2019, all {len(listed)} {_of(found)}"))
    return found


def _by_subject(found: Predictions) -> Predictions:
    """Compare how many clips of each class each subject has, since no clip is named."""
    table, listed = found.tables[0], Counter[tuple[str, int]]()
    for key, index in _list(found.databases).items():
        listed[key.rpartition("/")[0], index] += 1
    names = sorted({*table.subjects.tolist(), *(subject for subject, _ in listed)})
    place = {name: index for index, name in enumerate(names)}
    there, here = np.zeros((len(names), 3), dtype=np.int64), _counts(table, place)
    for (subject, index), count in listed.items():
        there[place[subject], index] = count
    matrix = np.minimum(here[:, :, None], there[:, None, :]).sum(0)
    found = _settled(found, matrix, int(here.sum()), "how many clips of each class the list of MEGC2019 has of each subject")
    here = _counts(found.tables[0], place)
    lacking = [name for name in names if here[place[name]].sum() == 0]
    strange = [name for name in names if there[place[name]].sum() == 0]
    counts = [
        f"{name} ({here[place[name]].sum()}, listed {there[place[name]].sum()})"
        for name in names
        if name not in lacking and name not in strange and here[place[name]].sum() != there[place[name]].sum()
    ]
    other = [
        name for name in names if here[place[name]].sum() == there[place[name]].sum() and (here[place[name]] != there[place[name]]).any()
    ]
    found = _warned(found, "no clip is named: a clip that is missing, doubled or of another subject cannot be seen by name")
    if lacking:
        found = _warned(
            found, f"{len(lacking)} of the {(there.sum(1) > 0).sum()} subjects {_of(found)} {_are(lacking)} missing: {few(lacking)}"
        )
    if strange:
        found = _warned(found, f"{_many(strange, 'subject')} {_are(strange)} not among those of MEGC2019: {few(strange)}")
    if counts:
        found = _warned(found, f"{_many(counts, 'subject')} {_have(counts)} another number of clips than in MEGC2019: {few(counts)}")
    if other:
        found = _warned(found, f"{_many(other, 'subject')} {_have(other)} as many clips as in MEGC2019, but of other classes: {few(other)}")
    if not (lacking or strange or counts or other):
        note = f"each subject has as many clips of each class as in MEGC2019, {here.sum()} {_of(found)} in all"
        found = replace(found, notes=(*found.notes, note))
    return found


def _counts(table: Table, place: Mapping[str, int]) -> NDArray[np.int64]:
    """Return clips by subject and true class, (subjects, 3)."""
    cells = np.array([place[subject] for subject in table.subjects.tolist()]) * 3 + table.truth
    return np.bincount(cells, minlength=3 * len(place)).reshape(-1, 3)


def _settled(found: Predictions, matrix: NDArray[np.int64], clips: int, source: str) -> Predictions:
    """Look whether another order of classes agrees with the list.

    Args:
        found: predictions.
        matrix: (3, 3), clips by the file's class index (rows) and the list's (columns).
        clips: how many are compared.
        source: what the list says, in words.
    """
    as_named = tuple(manifest.CLASSES.index(name) if name in manifest.CLASSES else place for place, name in enumerate(found.classes))
    orders = {order: int(sum(matrix[place, to] for place, to in enumerate(order))) for order in itertools.permutations(range(3))}
    best = max(orders, key=lambda order: (orders[order], order == as_named))
    if best == as_named or sorted(as_named) != [0, 1, 2] or orders[best] < CERTAIN * clips or orders[best] == orders[as_named]:
        return found
    told = ", ".join(f"{place} {manifest.CLASSES[to]}" for place, to in enumerate(best))
    if found.assumed:
        notes = [note for note in found.notes if "in the order of MEGC2019" not in note]
        mended = reordered(found, best)
        return replace(mended, notes=(*notes, f"classes are taken as {told}: {source} says so of {orders[best]} of {clips} clips"))
    calls = ", ".join(f"'{name}' is {manifest.CLASSES[to]}" for name, to in zip(found.classes, best, strict=True))
    return _warned(
        found,
        f"the classes stand in another order than they are named: by {source} {calls} in {orders[best]} of {clips} clips "
        f"(UF1, UAR and accuracy do not depend on it; the names in the confusion matrix do)",
    )


def _warned(found: Predictions, warning: str) -> Predictions:
    return replace(found, warnings=(*found.warnings, warning))


def _many(found: Sequence[str], what: str) -> str:
    return f"{len(found)} {what}{'s' if len(found) > 1 else ''}"


def _are(found: Sequence[str]) -> str:
    return "are" if len(found) > 1 else "is"


def _have(found: Sequence[str]) -> str:
    return "have" if len(found) > 1 else "has"


def _of(found: Predictions) -> str:
    whole = found.databases == manifest.DATABASES
    return "of 3DB" if whole else f"of {' and '.join(found.databases)}"
