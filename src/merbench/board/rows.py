"""One run as one row: what it is of, what it scores by every reading, what is missing of it and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from merbench.board import summary
from merbench.board.joined import Table, joined
from merbench.board.readings import Score, averages_of, by_subject, readings_of
from merbench.board.versions import numbers, sources
from merbench.config import Request, digest
from merbench.data import databases, schemes
from merbench.foldfile import FoldResult, fold_name
from merbench.results import Provenance, Run, folder_of
from merbench.scores import RANKED

PROTOCOLS = {"lodo": "leave one database out"}
"""What marks the rows of other protocols than ``loso``."""


@dataclass(frozen=True)
class Row:
    """What the board says of one run. Scores are there when at least one seed has all its folds.

    Attributes:
        key: of the run; ``path`` is the folder below the root of runs that its request has, wherever it was read.
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
        versions: of the method and of the engine, each raised when the same request begins to give other numbers.
        sources: hashes of the method's own file and of the clips that it is pre-trained on; empty where there are none.
        places: of the readings by which `ranking.placed` has ranked it, the first and last place that it may have in its table.
        superseded: whether `ranking.placed` has found its name in its table, run anew by a later version; it has no places then.
        archive: the file that it was read from, where that is no run's folder.
        judged: a hash of the clips that are judged, their true classes and the classes' names; empty where no seed has all its folds.
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
    versions: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    superseded: bool = False
    archive: str = ""
    judged: str = ""

    @property
    def table(self) -> tuple[str, ...]:
        """Return what rows must share to be ranked with one another: also the very arrays they learnt from, and what is judged.

        The arrays' hash covers what is judged; but an archive may tell another's hash, and what it judges can be seen.
        """
        return (*self.asked, self.judged)

    @property
    def asked(self) -> tuple[str, ...]:
        """Return what rows of one table share as soon as they are begun."""
        return (self.on, self.source, self.scheme, self.protocol, self.preset, self.data)


def row_of(run: Run) -> Row:
    """Return a run's row, from its summary where that was made of these very files.

    Raises:
        UserError: a file of the run cannot be read, or its folds do not fit together.
    """
    digest = run.digest()
    row = _row(summary.known(run.path, digest), run.path.name)
    if row is None:
        row = replace(_compute(run), digest=digest)
        summary.keep(run.path, digest, asdict(row))
    return row


def _row(kept: dict[str, Any] | None, key: str) -> Row | None:
    """Return a row from the plain values that `row_of` keeps, with its tuples; None where they are no row of the run with this key."""
    try:
        if kept is None or kept["key"] != key:
            return None
        told = {name: tuple(kept[name]) for name in ("marks", "seeds", "classes", "versions", "sources")}
        return Row(**{**kept, **told, "readings": {name: Score(**_tuples(score)) for name, score in kept["readings"].items()}})
    except (KeyError, TypeError, AttributeError):  # of a version that has other columns
        return None


def _tuples(score: dict[str, Any]) -> dict[str, Any]:
    parts = {name: tuple(pair) for name, pair in score["parts"].items()}
    return {**score, "parts": parts, "uf1_interval": tuple(score["uf1_interval"]), "uar_interval": tuple(score["uar_interval"])}


def _compute(run: Run) -> Row:
    request, provenance = run.described()
    finished, classes = run.finished(), len(provenance.classes)
    begun = sorted({int(name.rsplit("--s", 1)[1]) for name in (*finished, *provenance.failed)} or {0})
    wanted = {seed: [fold_name(held_out, seed) for held_out in provenance.folds] for seed in begun}
    seeds = tuple(seed for seed in begun if finished.issuperset(wanted[seed]))
    folds = {seed: run.results(wanted[seed]) for seed in seeds}
    tables = joined(run, folds.values(), provenance.clips)
    epochs = int(folds[seeds[0]][0].epochs[-1]) if seeds else 0
    measures = _medians([fold for found in folds.values() for fold in found])
    row = row_from(request, provenance, seeds, tables, readings_of(tables, classes, epochs), epochs, measures)
    missing = sum(len(set(wanted[seed]) - finished) for seed in begun)
    return replace(row, missing=missing, failed=len(provenance.failed))


def row_from(
    request: Request,
    provenance: Provenance,
    seeds: Sequence[int],
    tables: Sequence[Table],
    readings: dict[str, Score],
    epochs: int,
    measures: dict[str, float],
) -> Row:
    """Return the row of what is finished.

    Args:
        request, provenance: of the run.
        seeds: indices of those that have all folds.
        tables: predictions, one a seed.
        readings, measures: as in `Row`.
        epochs: the last one that was recorded; 0 where no seed is whole.
    """
    wanted = [fold_name(held_out, seed) for seed in seeds for held_out in provenance.folds]
    seconds, total_seconds, peak_mib, clip_seconds = _costs(provenance, wanted)
    key, classes = provenance.request_key, len(provenance.classes)
    return Row(
        key=key,
        path=folder_of(Path(), request, key).as_posix(),
        method=request.name,
        on=request.data.on,
        source=request.data.source,
        scheme=request.scheme,
        protocol=request.protocol,
        preset=request.preset,
        annotations=provenance.data["annotations"],
        data=provenance.data["fingerprint"],
        marks=_marks(request),
        clips=provenance.clips,
        subjects=_subjects(provenance, tables),
        seeds=tuple(seeds),
        missing=0,
        failed=0,
        epochs=epochs,
        parameters=provenance.parameters,
        seconds=seconds,
        total_seconds=total_seconds,
        peak_mib=peak_mib,
        clip_seconds=clip_seconds,
        classes=tuple(provenance.classes),
        versions=numbers(provenance.results_versions),
        sources=sources(provenance),
        readings=readings,
        averages=averages_of(tables, classes),
        measures=measures,
        by_subject={name: by_subject(name, tables, classes) for name in RANKED if name in readings},
        assumed="; ".join(filter(None, (provenance.data.get("assumed"), _assumed_of_macro(provenance)))),
        judged=digest([provenance.classes, tables[0].clips.tolist(), tables[0].truth.tolist()]) if tables else "",
    )


def _costs(provenance: Provenance, folds: Sequence[str]) -> tuple[float | None, float | None, float | None, float | None]:
    """Return seconds of a fold and of all, the peak of memory and seconds of a clip, as a row has them; None where it is not known."""
    known = [provenance.costs[name] for name in folds if name in provenance.costs]
    if not known:
        return None, None, None, None
    seconds, judged = [cost["seconds"] for cost in known], [cost["clip_seconds"] for cost in known if "clip_seconds" in cost]
    return (
        float(np.mean(seconds)),
        sum(seconds) if len(known) == len(folds) else None,
        max(cost["peak_mib"] for cost in known),
        float(np.median(judged)) if judged else None,
    )


def _assumed_of_macro(provenance: Provenance) -> str:
    """Return what was assumed about the clips or pictures that the method learnt from first."""
    assumed = provenance.data.get("macro assumed", "")
    return f"pre-trained on: {assumed}" if assumed else ""


def _subjects(provenance: Provenance, tables: Sequence[Table]) -> int:
    """Return how many subjects are judged: so far none, where whole databases are held out and no seed has all its folds."""
    return len(set(tables[0].subjects.tolist())) if tables else sum("/" in held_out for held_out in provenance.folds)


def _medians(results: Sequence[FoldResult]) -> dict[str, float]:
    """Return the median of each measure over all clips."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, found in result.measures.items():
            values.setdefault(name, []).extend(found)
    return {name: float(np.nanmedian(found)) for name, found in values.items() if not np.isnan(found).all()}


def _marks(request: Request) -> tuple[str, ...]:
    """Return why the rows of a request are not ranked with others, in words."""
    source, scheme, protocol = request.data.source, request.scheme, request.protocol
    marks = []
    if source != "frames":
        marks.append(source.replace("-", " "))
    if schemes.is_mini(scheme):
        marks.append("few subjects")
    if protocol != "loso":
        marks.append(PROTOCOLS.get(protocol, protocol))
    if 1 < len(databases.databases_of(request.data.on)) < len(schemes.databases(scheme)):
        marks.append("partial composite")
    if request.preset == "quick":
        marks.append("quick")
    return tuple(marks)
