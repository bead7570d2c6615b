"""What merbench says of predictions of any origin: the score of a run of its own, and what papers may have called by its name."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.board.claims import Claim, claim, quantities
from merbench.board.compare import complete, tested
from merbench.board.foreign.predictions import Predictions
from merbench.board.joined import Table
from merbench.board.readings import Score, score_of
from merbench.board.render import finite
from merbench.data.classes import listed as few
from merbench.errors import UserError
from merbench.results import Run
from merbench.scores import READINGS

BUDGETS = (10, 50, 800)
"""Epochs among which guesses may choose; 800 are those of HTNet and STSTNet."""

LITTLE = 5
"""Subjects below which an interval tells little."""


@dataclass(frozen=True)
class Versus:
    """Predictions against a run of the board, paired over subjects.

    Attributes:
        run: its name, the beginning of its key, and what it is of.
        paired_by: ``clip``, or ``subject`` where the file names no clips.
        seeds: how many complete ones the run has; all are taken, and all of the predictions.
        means: by score, of the predictions and of the run.
        tests: by score, of the difference, predictions less run.
    """

    run: str
    paired_by: str
    seeds: int
    means: Mapping[str, tuple[float, float]]
    tests: Mapping[str, scores.Paired]


@dataclass(frozen=True)
class Scored:
    """Everything that is said of a file of predictions.

    Attributes:
        form: of the file, in words.
        classes: names, in the order of the confusion matrices.
        clips, subjects, seeds: how many.
        databases: clips by database, in listed order.
        named: whether clips are named.
        best: whether the file says that each subject's best epoch was taken.
        epochs: that are recorded; empty where the file has no column of them.
        readings: by name; the oracles where several epochs are recorded. ``last`` is the file's only reading otherwise.
        averages: the five that papers call UF1.
        chance: what guesses from the class prior score: ``last``, and by the best of so many epochs a subject.
        quantities: everything that papers print as UF1 or UAR, by name.
        claims: claimed scores, each with what it equals.
        against: the paired test, where a run was named.
        notes, warnings: what was assumed, and what a reader must know.
    """

    form: str
    classes: tuple[str, ...]
    clips: int
    subjects: int
    seeds: int
    databases: Mapping[str, int]
    named: bool
    best: bool
    epochs: tuple[int, ...]
    readings: Mapping[str, Score]
    averages: Mapping[str, float]
    chance: Mapping[str, scores.Chance]
    quantities: Mapping[str, float]
    claims: tuple[Claim, ...]
    against: Versus | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def scored(found: Predictions, claimed: Mapping[str, str] | None = None, against: Run | None = None) -> Scored:
    """Return everything that is said of predictions.

    Args:
        found: already compared with the clip list.
        claimed: ``UF1`` and ``UAR`` as somebody prints them.
        against: a run on the same clips.

    Raises:
        UserError: the run has other clips, true classes or class names, or is not finished.
        ValueError: what is claimed is no score.
    """
    first, count = found.tables[0], len(found.classes)
    last = np.stack([table.predicted[-1] for table in found.tables])
    known = quantities(found.tables, last, count)
    claims = [claim(name, printed, "as claimed", known) for name, printed in (claimed or {}).items()]
    strange = []
    for name, printed in found.stated:
        try:
            claims.append(claim(name.upper(), printed, "stated in the file", known))
        except ValueError as error:
            strange.append(f"the file states a {name.upper()}, but {error}")
    several = len(first.predicted) > 1
    guesses = {"last": scores.chance("last", first.truth, first.subjects, count, 1)}
    for budget in BUDGETS:
        guesses[f"best of {budget} epochs a subject"] = scores.chance("oracle-subject", first.truth, first.subjects, count, budget)
    each = [scores.averages(first.truth, row, first.subjects, first.databases, count) for row in last]
    there = {"last": True, "inner": all(table.chosen is not None for table in found.tables)}
    return Scored(
        form=found.form,
        classes=found.classes,
        clips=len(first.clips),
        subjects=len(set(first.subjects.tolist())),
        seeds=len(found.tables),
        databases={name: int((first.databases == name).sum()) for name in found.databases},
        named=found.named,
        best=found.best,
        epochs=found.epochs,
        readings={name: score_of(name, found.tables, count) for name in READINGS if there.get(name, several)},
        averages={name: float(np.mean([one[name] for one in each])) for name in each[0]},
        chance=guesses,
        quantities=known,
        claims=tuple(claims),
        against=versus(found, against) if against is not None else None,
        notes=found.notes,
        warnings=(*found.warnings, *strange, *_warnings(found, claims)),
    )


def _warnings(found: Predictions, claims: list[Claim]) -> list[str]:
    table, warnings = found.tables[0], []
    if found.best:
        warnings.append(
            "the log says 'Best Predicted': for each subject the epoch was chosen that is best on that subject's own test clips; "
            "compare with the chance of that rule, not with scores of the last epoch"
        )
    absent = [name for place, name in enumerate(found.classes) if not (table.truth == place).any()]
    if absent:
        warnings.append(f"no clip has the true class {', '.join(absent)}: UAR has no value, nor UF1 where it is never predicted either")
        for name in absent:
            others = [other for other in found.classes if other not in absent]
            if close := difflib.get_close_matches(name, others, n=1, cutoff=0.8):
                warnings.append(f"is the class {name} a misspelled {close[0]}? classes are told apart by their names")
    people = len(set(table.subjects.tolist()))
    if people < LITTLE:
        warnings.append(f"{people} subject{'s' if people > 1 else ''}: an interval over so few tells little")
    for one in claims:
        if not one.holds:
            nearest = f"; the nearest is {one.nearest[0]}, {one.nearest[1]:.4f}" if one.nearest[0] else ""
            what = f"it is {' = '.join(one.equals)}" if one.equals else f"it is none of the quantities known here{nearest}"
            warnings.append(
                f"{one.score} {one.printed} ({one.source}) is not the pooled {one.score} of these predictions, {one.computed:.4f}: {what}"
            )
    return warnings


def versus(found: Predictions, run: Run) -> Versus:
    """Return the difference to a run, paired over subjects, by the last epoch of all seeds of both.

    Where the file names no clips, subjects must have as many clips of each class in both: what is swapped are whole subjects, so nothing
    else of a clip enters the test.

    Raises:
        UserError: the run has other clips, true classes or class names, or is not finished.
    """
    request, provenance = run.described()
    seeds = complete(run)
    to, orders = _matched(found, run, seeds[0], provenance.classes)
    ours, order = found.tables[0], orders[0]
    first = np.stack([table.predicted[-1][order] for table in found.tables])
    second = np.stack([to[table.predicted[-1]][orders[1]] for table in seeds])
    means, tests = tested(ours.truth[order], first, second, ours.subjects[order], ours.databases[order], len(found.classes))
    about = f"{request.name} ({run.path.name[:8]}; {request.data.on}, {request.data.source}, {request.scheme}, {request.protocol}, {request.preset})"
    return Versus(about, "clip" if found.named else "subject", len(seeds), means, tests)


def fits(found: Predictions, run: Run) -> bool:
    """Return whether a run can be paired with predictions: it is finished, and of the same clips and classes."""
    try:
        _matched(found, run, complete(run)[0], run.provenance.classes)
    except UserError:
        return False
    return True


def _matched(found: Predictions, run: Run, other: Table, classes: list[str]) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Return the class of the predictions for each of a run's, and the orders of the rows of both in which they pair.

    Raises:
        UserError: the run has other clips, true classes or class names.
    """
    if sorted(found.classes) != sorted(classes):
        why = f"its classes are {', '.join(classes)}, those of the file {', '.join(found.classes)}"
        raise _unlike(run, why, f"name them in the order of their numbers: --classes {','.join(classes)}; or ")
    to = np.array([found.classes.index(name) for name in classes])
    ours, theirs = found.tables[0], Table(other.clips, other.subjects, other.databases, to[other.truth], to[other.predicted[-1:]])
    keys = [table.clips if found.named else table.subjects for table in (ours, theirs)]
    orders = [np.lexsort((table.truth, key)) for table, key in zip((ours, theirs), keys, strict=True)]
    rows = [
        [*zip(key[order].tolist(), table.truth[order].tolist(), strict=True)]
        for key, table, order in zip(keys, (ours, theirs), orders, strict=True)
    ]
    if rows[0] != rows[1]:
        raise _unlike(run, _difference(Counter(rows[0]), Counter(rows[1]), found))
    return to, orders


def _difference(ours: Counter[tuple[str, int]], theirs: Counter[tuple[str, int]], found: Predictions) -> str:
    """Return which clips or subjects one has and the other has not."""
    only, lacking = sorted({key for key, _ in ours - theirs}), sorted({key for key, _ in theirs - ours})
    if not found.named:
        return f"other numbers of clips or classes of {few(sorted({*only, *lacking}))}"
    classes = sorted({*only} & {*lacking})
    parts = [
        f"{len(keys)} {'clips ' + several if len(keys) > 1 else 'clip ' + one} {what}: {few(keys)}"
        for keys, one, several, what in (
            (classes, "has", "have", "another true class"),
            ([key for key in only if key not in classes], "is", "are", "in the file only"),
            ([key for key in lacking if key not in classes], "is", "are", "in the run only"),
        )
        if keys
    ]
    return "; ".join(parts)


def _unlike(run: Run, why: str, remedy: str = "") -> UserError:
    return UserError(
        f"the file cannot be paired with the run: {why}",
        where=run.path,
        remedy=f"{remedy}name a run on the same clips and classes (merbench leaderboard shows what each is of)",
    )


def as_json(found: Scored) -> dict[str, Any]:
    """Return everything as plain values; what has no value is null."""
    plain: dict[str, Any] = finite(asdict(found))
    return plain
