"""From columns of cells to predictions by clip, whoever made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from merbench.board.foreign import labels, people
from merbench.board.foreign.columns import Cell, Columns, Roles, roles
from merbench.board.joined import Table
from merbench.data import manifest
from merbench.errors import UserError

MOST_ROWS = 2_000_000
"""Clips times epochs times seeds: 442 clips over 800 epochs and 5 seeds are 1,768,000."""

MOST_CLIPS, MOST_SUBJECTS = 10_000, 1_000
"""Of one epoch: the largest database known, DFME, has 7,526 clips of 671 people."""

NO_SUBJECT = (
    "give a column 'subject': scores are pooled over subjects, and their interval, chance and test draw subjects; a clip's own key "
    "(casme2/sub01/EP02_01f, s01_ne_01, 006_1_2) tells the subject too, and so do names of files: name their folder, with a file a subject"
)


@dataclass(frozen=True)
class Predictions:
    """What is to be scored.

    Attributes:
        form: of the file, in words.
        tables: one a seed, in order; rows are the same in all, by clip, or by subject and class where no clip is named.
        epochs: that are recorded; empty where the file has no column of them.
        classes: names; their order is the class index.
        assumed: whether that order is only assumed.
        named: whether clips are named.
        doubled: keys of clips that stand there more than once.
        best: whether the file says that each subject's best epoch was taken.
        stated: scores that the file itself states, as printed.
        notes, warnings: what was assumed, and what a reader must know.
    """

    form: str
    tables: tuple[Table, ...]
    epochs: tuple[int, ...]
    classes: tuple[str, ...]
    assumed: bool = False
    named: bool = True
    doubled: tuple[str, ...] = ()
    best: bool = False
    stated: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def databases(self) -> tuple[str, ...]:
        """Return whose clips these are, in listed order."""
        found = set(self.tables[0].databases.tolist())
        listed = [name for name in people.known_order() if name in found]
        return (*listed, *sorted(found - set(listed)))


@dataclass(frozen=True)
class _Coded:
    """Words by row, as places in a sorted list: one long word does not widen two million others.

    Attributes:
        names: each once.
        places: (N,).
    """

    names: tuple[str, ...]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, words: Sequence[str]) -> _Coded:
        """Return words as places."""
        names = tuple(sorted(set(words)))
        place = {name: index for index, name in enumerate(names)}
        return cls(names, np.fromiter((place[word] for word in words), dtype=np.int64, count=len(words)))

    def at(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the words of some rows."""
        return [self.names[place] for place in self.places[rows].tolist()]


@dataclass(frozen=True)
class _Rows:
    """Cells by row, understood."""

    subjects: _Coded
    clips: _Coded
    found: labels.Labels
    epochs: NDArray[np.int64]
    seeds: NDArray[np.int64]


def understand(columns: Columns, where: object, database: str | None = None, classes: tuple[str, ...] | None = None) -> Predictions:
    """Return the predictions that columns hold.

    Args:
        columns: of a file.
        where: to name in messages.
        database: of subjects whose spelling does not tell; the name that merbench has for it.
        classes: names in the order of their numbers, where the user gives them.

    Raises:
        UserError: a column is missing, a cell is empty or strange, a subject's database cannot be told, or epochs have other clips.
    """
    try:
        found = roles([*columns.cells])
        _check(columns, found, where)
        owners = _owners(columns, found, where, database)
        if database is not None and not any(owner.startswith(f"{database}/") for owner in owners):
            raise UserError(
                f"no subject is of {database}: by their spelling or a column they are of others, the first is {owners[0]}",
                where=where,
                remedy=f"leave --database away, or write {database} before the subjects ({database}/1) or into a column 'database'",
            )
        named = "clip" in found.named
        keys = _keys(columns, found, owners) if named else owners
        three = {owner.split("/")[0] for owner in set(owners)} <= set(manifest.DATABASES)
        guesses = columns.cells[found.named["predicted"]] if "predicted" in found.named else None
        read = labels.read(
            columns.cells[found.named["truth"]],
            guesses,
            {name: columns.cells[column] for name, column in found.classes.items()},
            classes,
            three,
        )
        rows = _Rows(_Coded.of(owners), _Coded.of(keys), read, _counted(columns, found, "epoch"), _counted(columns, found, "seed"))
        tables, epochs, doubled = _tables(rows, named)
    except ValueError as error:
        raise UserError(f"predictions cannot be read: {error}", where=where, remedy="docs/score.md shows what is read") from error
    return Predictions(
        columns.form,
        tables,
        epochs if "epoch" in found.named else (),
        read.classes,
        assumed=read.assumed,
        named=named,
        doubled=doubled,
        best=columns.best,
        stated=tuple(columns.stated.items()),
        notes=(*columns.notes, *_taken(found), *read.notes),
    )


def _taken(found: Roles) -> list[str]:
    """Return which column was taken where another may be meant."""
    told = {"truth": "true classes are", "predicted": "predicted classes are", "clip": "clips are", "subject": "subjects are"}
    return [
        f"{words} read from '{found.named[role]}', not from {', '.join(found.passed[role])}"
        for role, words in told.items()
        if found.passed.get(role)
    ]


def _check(columns: Columns, found: Roles, where: object) -> None:
    headers = ", ".join(columns.cells)[:300]
    if not found.enough:
        lacks = "true classes" if "truth" not in found.named else "predicted classes"
        raise UserError(
            f"no column has the {lacks}; its columns are {headers}",
            where=where,
            remedy="call them subject, clip, truth and pred, or p_<class> for probabilities; docs/score.md has all spellings",
        )
    rows = len(columns.cells[found.named["truth"]])
    if not 0 < rows <= MOST_ROWS:
        raise ValueError(f"it has {rows:,} rows; from 1 to {MOST_ROWS:,} are scored")
    if rows > MOST_CLIPS and not {"epoch", "seed"} & set(found.named):
        raise ValueError(f"it has {rows:,} rows and no column 'epoch' or 'seed'; {MOST_CLIPS:,} clips at most are scored")


def _owners(columns: Columns, found: Roles, where: object, fallback: str | None) -> list[str]:
    """Return each row's subject with its database."""
    if "subject" not in found.named and "clip" not in found.named:
        raise UserError("no column names subjects", where=where, remedy=NO_SUBJECT)
    whose: Sequence[Cell] = columns.cells[found.named.get("subject", found.named.get("clip", ""))]
    told: Sequence[Cell | None] = columns.cells[found.named["database"]] if "database" in found.named else [None] * len(whose)
    clips: Sequence[Cell] = columns.cells[found.named["clip"]] if "clip" in found.named else [""] * len(whose)
    known: dict[tuple[Cell, Cell | None, Cell], str] = {}
    owners = []
    for number, row in enumerate(zip(whose, told, clips, strict=True), 1):
        owner = known.get(row)
        if owner is None:
            try:
                owner = known[row] = _owner(str(row[0]), str(row[1] or ""), str(row[2]), "subject" in found.named, fallback)
            except ValueError as error:
                remedy = people.REMEDY if "subject" in found.named else NO_SUBJECT
                raise UserError(f"row {number}: {error}", where=where, remedy=remedy) from error
        owners.append(owner)
    return owners


def _owner(text: str, database: str, clip: str, is_subject: bool, fallback: str | None) -> str:
    if not text.strip():
        raise ValueError("the subject is empty")
    column = people.database_of(database) if database.strip() else None
    if not is_subject:
        return people.subject_in(text, fallback)
    try:
        return people.subject_of(text, column, fallback)
    except ValueError as error:
        try:
            return people.subject_in(clip, fallback)  # a bare 20 beside the clip s20_ne_01
        except ValueError:
            raise error from None


def _keys(columns: Columns, found: Roles, owners: Sequence[str]) -> list[str]:
    listed: dict[str, list[str]] = {}
    for clip, _ in manifest.megc2019():
        listed.setdefault(clip.subject, []).append(clip.name)
    known: dict[tuple[Cell, str], str] = {}
    keys = []
    for number, row in enumerate(zip(columns.cells[found.named["clip"]], owners, strict=True), 1):
        key = known.get(row)
        if key is None:
            try:
                key = known[row] = f"{row[1]}/{people.clip_of(str(row[0]), row[1], listed.get(row[1], ()))}"
            except ValueError as error:
                raise ValueError(f"row {number}: {error}") from error
        keys.append(key)
    return keys


def _counted(columns: Columns, found: Roles, role: str) -> NDArray[np.int64]:
    """Return each row's epoch or seed; 0 where there is no such column."""
    cells = columns.cells.get(found.named.get(role, ""))
    if cells is None:
        return np.zeros(len(columns.cells[found.named["truth"]]), dtype=np.int64)
    numbers = []
    for number, cell in enumerate(cells, 1):
        text = str(cell).strip().removesuffix(".0")
        if not (text.isascii() and text.isdecimal() and len(text) < 9):
            raise ValueError(f"row {number}: the {role} '{text[:20]}' is no number")
        numbers.append(int(text))
    return np.array(numbers, dtype=np.int64)


def _tables(rows: _Rows, named: bool) -> tuple[tuple[Table, ...], tuple[int, ...], tuple[str, ...]]:
    """Return a table a seed, the recorded epochs, and the clips that stand there more than once.

    Raises:
        ValueError: an epoch or seed has other clips or true classes than the first, or every clip stands there as often.
    """
    epochs, seeds = np.unique(rows.epochs), np.unique(rows.seeds)
    clips, people_here = len(rows.epochs) // (len(epochs) * len(seeds)), len(rows.subjects.names)
    if clips > MOST_CLIPS or people_here > MOST_SUBJECTS:
        raise ValueError(f"it has {clips:,} clips of {people_here:,} subjects; {MOST_CLIPS:,} of {MOST_SUBJECTS:,} at most are scored")
    first: NDArray[np.int64] | None = None
    tables = []
    for seed in seeds:
        predicted = []
        for epoch in epochs:
            here = np.flatnonzero((rows.seeds == seed) & (rows.epochs == epoch))
            order = here[np.lexsort((rows.found.truth[here], rows.clips.places[here]))]
            if first is None:
                first = order
            same = len(order) == len(first) and (rows.clips.places[order] == rows.clips.places[first]).all()
            if not same or (rows.found.truth[order] != rows.found.truth[first]).any():
                which = f"epoch {epoch}" + (f" of seed {seed}" if len(seeds) > 1 else "")
                raise ValueError(f"{which} has other clips or true classes than the first recorded")
            predicted.append(rows.found.predicted[order])
        assert first is not None, "there is a row"
        tables.append(_table(rows, first, np.stack(predicted), named))
    assert first is not None
    times = Counter(rows.clips.at(first)) if named else Counter[str]()
    doubled = tuple(sorted(key for key, count in times.items() if count > 1))
    if doubled and len(set(times.values())) == 1:
        raise ValueError(f"every clip stands there {times[doubled[0]]} times: give a column 'epoch' or 'seed' that tells them apart")
    return tuple(tables), tuple(epochs.tolist()), doubled


def _table(rows: _Rows, order: NDArray[np.int64], predicted: NDArray[np.int64], named: bool) -> Table:
    subjects = rows.subjects.at(order)
    clips = rows.clips.at(order) if named else [f"{subject}/#{place}" for place, subject in enumerate(subjects)]
    databases = [subject.split("/")[0] for subject in subjects]
    return Table(np.array(clips), np.array(subjects), np.array(databases), rows.found.truth[order], predicted)


def reordered(found: Predictions, order: Sequence[int]) -> Predictions:
    """Return the same predictions with the class of index i at index ``order[i]``; names stay where they are."""
    to = np.array(order)
    tables = tuple(replace(table, truth=to[table.truth], predicted=to[table.predicted]) for table in found.tables)
    return replace(found, tables=tables)
