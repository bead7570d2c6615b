"""Rows of archives: what others have measured, or an earlier year, stands on the board beside one's own runs, without a fold being trained.

An archive may come from anybody. So its row is made anew: of its predictions, request and provenance, whose hash is its key. What cannot
be counted from these, the oracles, measures and costs, is taken as it is told, and the board says so.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from merbench import guard
from merbench.board import archive, rescoring
from merbench.board.archive import Archive
from merbench.board.compare import Side, complete, side
from merbench.board.naming import find
from merbench.board.readings import Score
from merbench.board.rows import Row, row_from
from merbench.config import parse_request
from merbench.data.databases import databases_of
from merbench.errors import UserError, visible
from merbench.results import Run, key_of, provenance_of
from merbench.scores import RANKED, READINGS, Reading

ORACLES = tuple(name for name in READINGS if name not in RANKED)

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
        found |= {_followed(each): each for each in inside}
    return list(found.values())


def _followed(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link in a circle: told where it is opened
        return path.absolute()


def row_of(path: Path) -> Row:
    """Return the row of an archive: what it scores by the last epoch, and what pairs are tested by, is counted from its predictions.

    Its oracles, measures and costs are as its run told them. It has no inner reading: predictions of chosen epochs are not in it.

    Raises:
        UserError: it cannot be read, or its scores, clips or name are not those of its predictions, scheme and request.
    """
    return _read(path)[0]


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


def joined(rows: Sequence[Row], others: Iterable[Row]) -> list[Row]:
    """Return rows with those of archives, a run once: as it is here, unless the archive has more of its seeds.

    Args:
        rows: of runs.
        others: of archives.
    """
    if not (others := list(others)):
        return list(rows)
    found = {row.key: row for row in rows}
    for other in others:
        here = found.get(other.key)
        if here is None or len(here.seeds) < len(other.seeds):
            found[other.key] = other
    return list(found.values())


def _side(path: Path, reading: Reading) -> Side:
    row, kept = _read(path)
    if reading not in row.by_subject:
        raise UserError(
            f"an archive holds the predictions of the last epoch, not of the {reading} one", where=path, remedy="leave --reading out"
        )
    return Side(row.method, row.key, row.on, row.protocol, row.preset, path, row.classes, kept.tables[0], kept.predicted)


def _read(path: Path) -> tuple[Row, Archive]:
    kept = archive.read(path)
    now = rescoring.now_of(kept)
    try:
        if moved := rescoring.moved(kept, now):
            raise UserError(f"an archive does not hold together: {moved[0]}", remedy=REMEDY)
        row = _row(kept, now)
    except UserError as error:  # of an unknown scheme or database: where it is asked for does not help here
        raise UserError(error.what, where=path, remedy=REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(f"an archive is not what it should be: {reason}", where=path, remedy=REMEDY) from error
    return replace(row, archive=visible(path.as_posix(), keep=""), digest=kept.digest), kept


def _row(kept: Archive, now: Score) -> Row:
    """Return the row of an archive, whose predictions score so.

    Raises:
        ValueError: it is not one whole.
    """
    request, provenance = parse_request(kept.request.encode()), provenance_of(kept.provenance)
    if key_of(request, provenance) != provenance.request_key:
        raise ValueError("its key is not that of its request and provenance")
    if kept.row["scheme"] != request.scheme:  # by which its clips were looked at
        raise ValueError(f"its scheme is {kept.row['scheme']}, that of its request {request.scheme}")
    table = kept.tables[0]
    if set(table.databases.tolist()) != set(databases_of(request.data.on)):
        raise ValueError(f"its clips are not of {request.data.on}")
    held_out = {"loso": table.subjects, "lodo": table.databases}.get(request.protocol)
    if held_out is None:
        raise ValueError(f"its protocol is {request.protocol}, which this version does not know")
    if sorted(set(held_out.tolist())) != sorted(provenance.folds):
        raise ValueError("its folds are not those of its clips and protocol")
    readings = {"last": now, **_oracles(kept, now)}
    measures: dict[str, float] = kept.row["measures"]
    row = row_from(request, provenance, kept.seeds, kept.tables, readings, kept.epochs, measures)
    if not all(word.isprintable() for word in _words([row.method, row.classes, row.assumed, measures, provenance.data, list(now.parts)])):
        raise ValueError("a word in it has signs that cannot be seen")  # they would move the cursor of who reads the board
    return row


def _oracles(kept: Archive, now: Score) -> dict[str, Score]:
    """Return the readings that cannot be counted again, as they are told.

    Raises:
        ValueError: one is not what a reading should be.
    """
    found: dict[str, Score] = {}
    for name in ORACLES:
        if (told := kept.row["readings"].get(name)) is None:
            continue
        # a score without a value is NaN, and right; the others must be finite
        plain = json.loads(json.dumps(told), parse_constant=lambda word: 0.0 if word == "NaN" else math.inf)
        parts, intervals = guard.checked(plain, get_type_hints(Score))["parts"], (plain["uf1_interval"], plain["uar_interval"])
        if set(parts) != set(now.parts) or any(len(part) != 3 for part in parts.values()) or any(len(ends) != 2 for ends in intervals):
            raise ValueError(f"parts or intervals of {name} are not what they should be")
        numbers = [
            *(plain[each] for each in ("uf1", "uar", "accuracy", "chance_uf1", "chance_uf1_sd")),
            *itertools.chain(*intervals, *parts.values()),
        ]
        if any(not 0 <= each <= 1 for each in numbers):
            raise ValueError(f"a score of {name} is not one from 0 to 1")
        if np.shape(plain["confusion"]) != np.shape(now.confusion):
            raise ValueError(f"the confusion of {name} is not what it should be")
        found[name] = Score(
            **{
                **told,
                "uf1_interval": tuple(told["uf1_interval"]),
                "uar_interval": tuple(told["uar_interval"]),
                "parts": {part: tuple(told["parts"][part]) for part in now.parts},
            }
        )
    return found


def _words(value: Any) -> Iterator[str]:
    """Yield every name and text in what JSON holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _words(each)
