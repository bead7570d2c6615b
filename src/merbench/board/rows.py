"""One run read as one row: every reading, with its interval, its parts and what chance would score by the same rule."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merbench import guard, scores
from merbench.data import databases, schemes
from merbench.errors import UserError
from merbench.foldfile import FoldResult, fold_name, write
from merbench.results import Provenance, Run
from merbench.sample import is_of
from merbench.scores import RANKED, READINGS, Reading

FORMAT = 9
"""Of summary.json; raised when a row is computed in another way."""

LARGEST = 2**24
"""Bytes of summary.json."""


PROTOCOLS = {"lodo": "leave one database out"}
"""What marks the rows of other protocols than ``loso``."""

STRANGERS = "delete the folds that are not this run's and run the same command again"


@dataclass(frozen=True)
class Score:
    """Pooled scores of one reading, means over seeds.

    Attributes:
        uf1, uar, accuracy: pooled over all folds.
        uf1_interval, uar_interval: 95 %, subjects drawn with replacement within each database.
        parts: database to UF1, UAR and accuracy, the same predictions read on that database's clips.
        chance_uf1, chance_uf1_sd: what guesses from the class prior score by this reading with as many epochs.
        confusion: summed over seeds; rows true, columns predicted.
    """

    uf1: float
    uar: float
    accuracy: float
    uf1_interval: tuple[float, float]
    uar_interval: tuple[float, float]
    parts: dict[str, tuple[float, float, float]]
    chance_uf1: float
    chance_uf1_sd: float
    confusion: list[list[int]]


@dataclass(frozen=True)
class Row:
    """What the board says of one run. Scores are there when at least one seed has all its folds.

    Attributes:
        key: of the run; ``path`` is its folder below the root of runs.
        method: with overrides in brackets.
        marks: why it is not ranked with others, in words.
        seeds: indices that have all folds.
        clips, subjects: how many are judged; subjects of whole databases are known when a seed has all its folds.
        annotations, data: hashes; ``data`` covers both.
        missing: fold files that the seeds begun so far lack; all of the first where none is begun.
        readings: by name; the oracles are absent where only the last epoch was recorded, ``inner`` where several were and no inner training
            chose one. What has one epoch has no other to choose: its ``inner`` is its ``last``.
        averages: of the ``last`` reading, the five that papers call UF1.
        measures: what else the method tells of held-out clips, medians over clips and seeds.
        assumed: what was assumed about clips, such as an apex in the middle, and about how many; also of those it was pre-trained on.
        seconds, total_seconds: of a fold, the mean; of all folds of these seeds, None where one's is not known.
        clip_seconds: to judge one clip, its flow or frames at hand, the median over folds; None where no fold has measured it.
        by_subject: of the readings that are ranked, the confusion of each subject's clips, one a seed, row after row: what is tested in pairs.
        digest: of the files that all this was read from.
        places: of the readings by which `ranking.placed` has ranked it, the first and last place that it may have in its table.
    """

    key: str
    path: str
    method: str
    on: str
    source: str
    scheme: str
    protocol: str
    preset: str
    annotations: str
    data: str
    marks: tuple[str, ...]
    clips: int
    subjects: int
    seeds: tuple[int, ...]
    missing: int
    failed: int
    epochs: int
    parameters: int
    seconds: float | None
    peak_mib: float | None
    classes: tuple[str, ...] = ()
    readings: dict[str, Score] = field(default_factory=dict)
    averages: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    assumed: str = ""
    total_seconds: float | None = None
    clip_seconds: float | None = None
    by_subject: dict[str, dict[str, list[list[int]]]] = field(default_factory=dict)
    digest: str = ""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def table(self) -> tuple[str, str, str, str, str, str]:
        """Return what rows must share to be ranked with one another: also the very arrays they learnt from."""
        return (self.on, self.source, self.scheme, self.protocol, self.preset, self.data)


def row_of(run: Run) -> Row:
    """Return a run's row, from its summary where that was made of these very fold files.

    Raises:
        UserError: a file of the run cannot be read, or its folds do not fit together.
    """
    digest = run.digest()
    path = run.path / "summary.json"
    kept = b""
    with contextlib.suppress(OSError, ValueError):
        kept = guard.read(path, LARGEST)
    cached = _cached(kept, digest, run.path.name)
    if cached is not None:
        return cached
    row = replace(_compute(run), digest=digest)
    with contextlib.suppress(OSError):  # a view only: on a read-only disk it is made anew each time
        write(path, json.dumps({"format": FORMAT, "seal": _seal(digest, asdict(row)), "row": asdict(row)}, indent=1).encode())
    return row


def _seal(digest: str, row: dict[str, Any]) -> str:
    """Return a hash of a run's files and of the row made of them: an edited view, or one of other files, is made anew."""
    return hashlib.sha256((digest + json.dumps(row, sort_keys=True)).encode()).hexdigest()


def _cached(text: bytes, digest: str, key: str) -> Row | None:
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] != FORMAT or found["row"]["key"] != key or found["seal"] != _seal(digest, found["row"]):
            return None
        row = dict(found["row"])
        for name in ("marks", "seeds", "classes"):
            row[name] = tuple(row[name])
        row["readings"] = {name: Score(**_tuples(score)) for name, score in row["readings"].items()}
        return Row(**row)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # a damaged view is made anew
        return None


def _tuples(score: dict[str, Any]) -> dict[str, Any]:
    parts = {name: tuple(pair) for name, pair in score["parts"].items()}
    return {**score, "parts": parts, "uf1_interval": tuple(score["uf1_interval"]), "uar_interval": tuple(score["uar_interval"])}


def _compute(run: Run) -> Row:
    request, provenance = run.described()
    finished = run.finished()
    begun = sorted({int(name.rsplit("--s", 1)[1]) for name in (*finished, *provenance.failed)} or {0})
    wanted = {seed: [fold_name(subject, seed) for subject in provenance.folds] for seed in begun}
    seeds = tuple(seed for seed in begun if finished.issuperset(wanted[seed]))
    runs = {seed: run.results(wanted[seed]) for seed in seeds}
    costs = [provenance.costs[name] for seed in seeds for name in wanted[seed] if name in provenance.costs]
    tables = _tables(run, provenance, runs)
    readings, averages = _score(provenance, runs, tables) if tables else ({}, {})
    return Row(
        key=run.path.name,
        path="/".join(run.path.parts[-4:]),
        method=request.name,
        on=request.data.on,
        source=request.data.source,
        scheme=request.scheme,
        protocol=request.protocol,
        preset=request.preset,
        annotations=provenance.data["annotations"],
        data=provenance.data["fingerprint"],
        marks=_marks(request.data.on, request.data.source, request.scheme, request.preset, request.protocol),
        clips=provenance.clips,
        subjects=_subjects(provenance, runs),
        seeds=seeds,
        missing=sum(len(set(wanted[seed]) - finished) for seed in begun),
        failed=len(provenance.failed),
        epochs=int(runs[seeds[0]][0].epochs[-1]) if seeds else 0,
        parameters=provenance.parameters,
        seconds=float(np.mean([cost["seconds"] for cost in costs])) if costs else None,
        total_seconds=sum(cost["seconds"] for cost in costs) if costs and len(costs) == len(provenance.folds) * len(seeds) else None,
        peak_mib=max(cost["peak_mib"] for cost in costs) if costs else None,
        clip_seconds=float(np.median(judged)) if (judged := [cost["clip_seconds"] for cost in costs if "clip_seconds" in cost]) else None,
        classes=tuple(provenance.classes),
        readings=readings,
        averages=averages,
        measures=_medians([result for results in runs.values() for result in results]),
        by_subject={name: _by_subject(name, tables, len(provenance.classes)) for name in RANKED if name in readings},
        assumed="; ".join(filter(None, (provenance.data.get("assumed"), _assumed_of_macro(provenance)))),
    )


def _assumed_of_macro(provenance: Provenance) -> str:
    """Return what was assumed about the clips or pictures that the method learnt from first."""
    assumed = provenance.data.get("macro assumed", "")
    return f"pre-trained on: {assumed}" if assumed else ""


def _subjects(provenance: Provenance, runs: dict[int, list[FoldResult]]) -> int:
    """Return how many subjects are judged: so far none, where whole databases are held out and no seed has all its folds."""
    judged = {clip.rsplit("/", 1)[0] for folds in runs.values() for fold in folds for clip in fold.clips}
    return len(judged) or sum("/" in held_out for held_out in provenance.folds)


def _medians(results: Sequence[FoldResult]) -> dict[str, float]:
    """Return the median of each measure over all clips."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, found in result.measures.items():
            values.setdefault(name, []).extend(found)
    return {name: float(np.nanmedian(found)) for name, found in values.items() if not np.isnan(found).all()}


def _marks(on: str, source: str, scheme: str, preset: str, protocol: str) -> tuple[str, ...]:
    marks = []
    if source != "frames":
        marks.append(source.replace("-", " "))
    if schemes.is_mini(scheme):
        marks.append("few subjects")
    if protocol != "loso":
        marks.append(PROTOCOLS.get(protocol, protocol))
    if 1 < len(databases.databases_of(on)) < len(schemes.databases(scheme)):
        marks.append("partial composite")
    if preset == "quick":
        marks.append("quick")
    return tuple(marks)


@dataclass(frozen=True)
class Table:
    """A seed's predictions, clips sorted by key.

    Attributes:
        clips, subjects, databases, truth: (N,).
        predicted: (E, N) class indices by recorded epoch.
        chosen: (N,) positions of the epochs that the inner trainings of each clip's fold chose; None where a fold has none.
    """

    clips: NDArray[np.str_]
    subjects: NDArray[np.str_]
    databases: NDArray[np.str_]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    chosen: NDArray[np.int64] | None = None


def predictions(run: Run, folds: Sequence[FoldResult]) -> Table:
    """Join a seed's folds, by clip key.

    Raises:
        UserError: folds have other epochs, or a clip stands twice or is none of those its fold holds out.
    """
    clips = np.array([clip for fold in folds for clip in fold.clips])
    subjects = np.array([clip.rsplit("/", 1)[0] for clip in clips.tolist()])
    if len(set(clips.tolist())) < len(clips) or not all(is_of(clip, fold.held_out) for fold in folds for clip in fold.clips):
        raise UserError(
            "a clip stands twice or in a fold that holds others out",
            where=run.path,
            remedy=STRANGERS,
        )
    if any(not np.array_equal(fold.epochs, folds[0].epochs) for fold in folds):
        raise UserError(
            "folds of one run have other epochs",
            where=run.path,
            remedy=STRANGERS,
        )
    _check_labels(run, folds)
    order = np.argsort(clips)
    truth = np.concatenate([fold.labels for fold in folds])
    predicted = np.concatenate([fold.probabilities.argmax(-1) for fold in folds], axis=1)
    databases = np.array([clip.split("/")[0] for clip in clips])
    return Table(clips[order], subjects[order], databases[order], truth[order], predicted[:, order].astype(np.int64), _chosen(folds, order))


def _chosen(folds: Sequence[FoldResult], order: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the position of the epoch that each clip's fold has chosen by its inner trainings, or the only one there ever was."""
    if folds[0].epochs.tolist() == [1]:
        return np.zeros(len(order), dtype=np.int64)
    chosen = [np.full(len(fold.clips), scores.inner_epoch(fold.inner)) for fold in folds if fold.inner is not None]
    return np.concatenate(chosen)[order] if len(chosen) == len(folds) else None


def _check_labels(run: Run, folds: Sequence[FoldResult]) -> None:
    """Compare what the folds take for true with what the scheme says.

    Raises:
        UserError: a clip has another label there, or a subject or database other clips.
    """
    if not schemes.is_listed(run.request.scheme):
        return  # the list is the user's sheet; the clips of each fold are sealed with it
    known = schemes.scheme(run.request.scheme)
    listed: dict[str, dict[str, int]] = {}
    for clip in known.clips:
        for held_out in (clip.subject, clip.database):
            listed.setdefault(held_out, {})[clip.key] = known.labels[clip.key]
    for fold in folds:
        told = dict(zip(fold.clips, fold.labels.tolist(), strict=True))
        if listed.get(fold.held_out, told) != told:
            raise UserError(
                f"the clips or labels of {fold.held_out} are not those of {known.name}",
                where=run.fold_path(fold.name),
                remedy="delete it and run the same command again: only this fold is trained",
            )


def _tables(run: Run, provenance: Provenance, runs: dict[int, list[FoldResult]]) -> list[Table]:
    """Return a table for each seed.

    Raises:
        UserError: the seeds have other clips or labels, or there are fewer or more than were asked for.
    """
    tables = [predictions(run, folds) for folds in runs.values()]
    if not tables:
        return []
    first = tables[0]
    if any(not (np.array_equal(each.clips, first.clips) and np.array_equal(each.truth, first.truth)) for each in tables):
        raise UserError("the seeds of a run have other clips or labels", where=run.path, remedy=STRANGERS)
    if len(first.clips) != provenance.clips:
        raise UserError(
            f"the folds hold {len(first.clips)} clips, not {provenance.clips}",
            where=run.path,
            remedy=STRANGERS,
        )
    return tables


def _by_subject(reading: Reading, tables: Sequence[Table], classes: int) -> dict[str, list[list[int]]]:
    """Return the confusion of a reading by subject and seed, rows one after another."""
    found: dict[str, list[list[int]]] = {}
    for table in tables:
        taken = scores.read(reading, table.predicted, table.truth, table.subjects, classes, table.chosen)
        for subject in sorted(set(table.subjects.tolist())):
            here = table.subjects == subject
            matrix = scores.confusion(table.truth[here], taken[here], classes)
            found.setdefault(subject, []).append([int(count) for count in matrix.ravel()])
    return found


def _score(provenance: Provenance, runs: dict[int, list[FoldResult]], tables: Sequence[Table]) -> tuple[dict[str, Score], dict[str, float]]:
    first, classes = tables[0], len(provenance.classes)
    recorded = int(runs[next(iter(runs))][0].epochs[-1]) if len(first.predicted) > 1 else 1
    whole = len(first.predicted) == recorded
    readings: dict[str, Score] = {}
    there = {"last": True, "inner": all(table.chosen is not None for table in tables)}
    for name in (each for each in READINGS if there.get(each, whole and recorded > 1)):
        only = name == "inner" and len(first.predicted) == 1  # there is no other epoch: it need not be computed again
        readings[name] = readings["last"] if only else score_of(name, tables, classes)
    last = np.stack([table.predicted[-1] for table in tables])
    per_seed = [scores.averages(first.truth, row, first.subjects, first.databases, classes) for row in last]
    averages = {name: float(np.mean([each[name] for each in per_seed])) for name in per_seed[0]}
    return readings, averages


def score_of(reading: Reading, tables: Sequence[Table], classes: int) -> Score:
    """Return the score of one reading of predictions, a table a seed, of a run or of any origin; rows are the same in all tables."""
    first = tables[0]
    taken = np.stack([scores.read(reading, t.predicted, t.truth, t.subjects, classes, t.chosen) for t in tables])
    matrices = scores.confusion(first.truth, taken, classes)
    chance = scores.chance(reading, first.truth, first.subjects, classes, len(first.predicted))
    parts = {}
    present = set(first.databases.tolist())
    for database in (*(name for name in databases.known() if name in present), *sorted(present - set(databases.known()))):
        here = first.databases == database
        part = scores.confusion(first.truth[here], taken[:, here], classes)
        parts[database] = (float(scores.uf1(part).mean()), float(scores.uar(part).mean()), float(scores.accuracy(part).mean()))
    intervals = [
        scores.bootstrap(first.truth, taken, first.subjects, first.databases, classes, score) for score in (scores.uf1, scores.uar)
    ]
    return Score(
        uf1=float(scores.uf1(matrices).mean()),
        uar=float(scores.uar(matrices).mean()),
        accuracy=float(scores.accuracy(matrices).mean()),
        uf1_interval=(intervals[0].low, intervals[0].high),
        uar_interval=(intervals[1].low, intervals[1].high),
        parts=parts,
        chance_uf1=chance.uf1,
        chance_uf1_sd=chance.uf1_sd,
        confusion=matrices.sum(0).tolist(),
    )
