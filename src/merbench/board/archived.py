"""Rows of archives: what others have measured, or an earlier year, stands on the board beside one's own runs, without a fold being trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from merbench import guard
from merbench.board import archive, rescoring
from merbench.board.archive import Archive
from merbench.board.compare import Side, complete, side
from merbench.board.naming import find
from merbench.board.readings import Score, by_subject
from merbench.board.rows import Row, marks_of, restored
from merbench.board.versions import numbers, sources
from merbench.config import parse_request
from merbench.errors import UserError
from merbench.results import Provenance, Run, key_of
from merbench.scores import READINGS, Reading

REMEDY = "make it anew from its run: merbench archive RUN"


def files(paths: Iterable[Path]) -> list[Path]:
    """Return the archives that are meant, each once: files themselves, and every .parquet below a folder but those of runs' folds.

    Raises:
        UserError: there is no such file or folder, or none in the folder.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise UserError("there is no such file or folder", where=path, remedy="name what merbench archive has written, or its folder")
        inside = sorted(each for each in path.rglob("*.parquet") if each.parent.name != "folds") if path.is_dir() else [path]
        if not inside:
            raise UserError("there is no archive in this folder", where=path, remedy="merbench archive RUN makes them")
        found |= {each.resolve(): each for each in inside}
    return list(found.values())


def row_of(path: Path) -> Row:
    """Return the row of an archive: what its predictions give is counted again, and tests of pairs take the predictions alone.

    Readings of other epochs, costs and measures are as its run told them: there is nothing in it to count them from.

    Raises:
        UserError: it cannot be read, was made by a version with other columns, or its scores or classes are not those of its predictions and scheme.
    """
    kept = archive.read(path)
    row, now = _row(kept, path), rescoring.now_of(kept)
    if moved := rescoring.moved(kept, now):
        raise UserError(f"an archive does not hold together: {moved[0]}", where=path, remedy=REMEDY)
    counted = {name: now for name in row.readings if name == "last" or (name == "inner" and row.epochs == 1)}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()  # not what it says: p of pairs are kept by it, those of runs too
    return replace(row, archive=path.as_posix(), digest=digest, readings=row.readings | counted)


def sides(root: Path, first: Path | str, second: Path | str, reading: Reading = "last") -> tuple[Side, Side]:
    """Return what is compared where one side at least is an archive.

    Args:
        root: the folder of all runs.
        first, second: the path of an archive, or what a run is called: of several with a name, those on the archive's clips can be meant.
        reading: by which they are compared.

    Raises:
        UserError: one cannot be read or lacks the reading, or none or several runs are called so.
    """
    of_archives = {each: _side(each, reading) for each in (first, second) if isinstance(each, Path)}
    clips = next(iter(of_archives.values())).table.clips

    def alike(run: Run) -> bool:
        try:
            return bool(np.array_equal(complete(run)[0].clips, clips))
        except UserError:
            return False

    def found(named: Path | str) -> Side:
        return of_archives[named] if isinstance(named, Path) else side(find(root, named, alike), reading)

    return found(first), found(second)


def _side(path: Path, reading: Reading) -> Side:
    row, kept = row_of(path), archive.read(path)
    if reading != "last" and kept.tables[0].chosen is None:
        raise UserError(
            f"an archive holds the predictions of the last epoch, not of the {reading} one", where=path, remedy="leave --reading out"
        )
    return Side(row.method, row.key, row.on, row.protocol, row.preset, path, len(kept.classes), kept.tables[0], kept.predicted)


def joined(rows: Sequence[Row], others: Iterable[Row]) -> list[Row]:
    """Return rows with those of archives, a run once: as it is here, unless the archive has more of its seeds.

    Args:
        rows: of runs.
        others: of archives.
    """
    found = {row.key: row for row in rows}
    for other in others:
        here = found.get(other.key)
        if here is None or len(here.seeds) < len(other.seeds):
            found[other.key] = other
    return list(found.values())


def _row(kept: Archive, path: Path) -> Row:
    """Return the row that an archive keeps; what is tested in pairs is of its predictions.

    Raises:
        UserError: it is not what a row should be.
    """
    provenance = Provenance(**kept.provenance)
    tables, classes = kept.tables, len(kept.classes)
    plain = {"superseded": False, "archive": "", **kept.row, "places": {}}  # earlier versions kept fewer columns
    plain |= {"versions": list(numbers(provenance.results_versions)), "sources": list(sources(provenance))}
    try:
        _check(plain)
        row = restored(plain, provenance.request_key)
        if row is None:
            raise ValueError("it lacks columns")
        _check_identity(row, kept.request, provenance)
        if (
            row.classes != kept.classes
            or row.seeds != kept.seeds
            or (row.clips, row.subjects) != (len(kept.clips), len(set(tables[0].subjects.tolist())))
        ):
            raise ValueError("it is of other classes, seeds or clips than its predictions")
        paired = {"last": by_subject("last", tables, classes)}
        if "inner" in row.readings:
            only = tables[0].chosen is not None
            paired["inner"] = paired["last"] if only else _checked(row.by_subject["inner"], paired["last"], row.readings["inner"])
        return replace(row, by_subject=paired)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(f"the row of an archive is not what it should be: {reason}", where=path, remedy=REMEDY) from error


def _check(plain: Mapping[str, Any]) -> None:
    """Look whether a row has the types of its columns; a score without a value passes as a number.

    Raises:
        ValueError: names what is not, or a word has signs that are not seen: they would move the cursor of who reads the board.
    """
    whole = json.loads(json.dumps(plain), parse_constant=lambda _: 0.0)
    readings = whole.pop("readings")
    guard.checked(whole, {name: hint for name, hint in get_type_hints(Row).items() if name != "readings"})
    if not guard.fits(readings, dict[str, dict[str, Any]]) or not set(readings) <= set(READINGS):
        raise ValueError("'readings' is not what it should be")
    for name, score in readings.items():
        guard.checked(score, get_type_hints(Score))
        if {len(score["uf1_interval"]), len(score["uar_interval"])} != {2} or any(len(part) != 3 for part in score["parts"].values()):
            raise ValueError(f"an interval or a part of '{name}' is not what it should be")
    if not all(word.isprintable() for word in _words([whole, readings])):
        raise ValueError("a word in it has signs that cannot be seen")


def _check_identity(row: Row, request: str, provenance: Provenance) -> None:
    """Look whether a row is of the request and the data that its key is the hash of: by these it stands in a table, and has its name there.

    Raises:
        ValueError: it is not.
    """
    asked = parse_request(request.encode())
    if key_of(asked, provenance) != row.key:
        raise ValueError("its key is not that of its request and provenance")
    of = {
        "method": asked.name,
        "on": asked.data.on,
        "source": asked.data.source,
        "scheme": asked.scheme,
        "protocol": asked.protocol,
        "preset": asked.preset,
        "data": provenance.data["fingerprint"],
        "annotations": provenance.data["annotations"],
        "parameters": provenance.parameters,
        "marks": marks_of(asked),
    }
    for name, value in of.items():
        if getattr(row, name) != value:
            raise ValueError(f"'{name}' is {getattr(row, name)}, that of its request and provenance {value}"[:200])


def _words(value: Any) -> Iterator[str]:
    """Yield every name and text in what JSON holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _words(each)


def _checked(inner: dict[str, list[list[int]]], last: dict[str, list[list[int]]], score: Score) -> dict[str, list[list[int]]]:
    """Return the confusions of the inner reading by subject, which are of the same true clips and sum to the reading's.

    Raises:
        ValueError: they are or do not.
    """
    subjects = sorted(last)
    if sorted(inner) != subjects:
        raise ValueError("the inner reading is of other subjects")
    counts, seen = (np.array([each[subject] for subject in subjects], dtype=np.int64) for each in (inner, last))
    classes = len(score.confusion)
    if counts.shape != seen.shape or (counts < 0).any() or counts.sum((0, 1)).tolist() != np.ravel(score.confusion).tolist():
        raise ValueError("the inner reading is not that of its subjects")
    truth = [each.reshape(*each.shape[:2], classes, classes).sum(-1) for each in (counts, seen)]
    if not np.array_equal(*truth):
        raise ValueError("the inner reading is of other clips")
    return inner
