"""What wandb is told of a run: plain tables of words and numbers, made of requests, fold files and rows. No image, no path, no wandb.

A record is a table whose ``do`` says what it is:

- ``begin``: who the run is. Its id follows from key and environment, so that a run that goes on is the same run there.
- ``block``: rows of history under a name. A name that was told before is not told again, in whichever session.
- ``tables``: a block of tables (columns and rows) and of confusion matrices.
- ``summary``: values of the project's table.
- ``end``: the run is left, with an exit code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from merbench import __version__, scores
from merbench.board.joined import predictions
from merbench.board.rows import Row
from merbench.config import Request, canonical, digest
from merbench.data import databases
from merbench.foldfile import FoldResult, fold_name
from merbench.results import Provenance, Run

Record = dict[str, Any]

LONGEST_CURVE = 200
"""Points of one fold's curve; of a longer training they are taken at equal distances."""

LONGEST_TABLE = 10_000
"""Rows of a table; what wandb shows at most. Whole seeds are left out beyond it."""

LONGEST_NAME, LONGEST_TAG = 128, 64
"""Characters that wandb takes for the name of a run or group, and for a tag."""


def begin(run: Run, request: Request, provenance: Provenance, project: str) -> Record:
    """Return who a run is: name, group, tags, and as configuration the resolved request, its data and its versions."""
    data = provenance.data
    return {
        "do": "begin",
        "id": digest([run.path.name, provenance.environment]),
        "project": project,
        "name": _without_paths(request.name)[:LONGEST_NAME],
        "group": group(request, data["fingerprint"]),
        "tags": tags(request),
        "folder": str(run.path.absolute()),
        "config": {
            **_discreet(canonical(request)),
            "key": run.path.name,
            "annotations": data["annotations"],
            "fingerprint": data["fingerprint"],
            "assumed": data.get("assumed", ""),
            "manifests": digest(provenance.manifests),
            "results_versions": provenance.results_versions,
            "method_file": provenance.method_file,
            "parameters": provenance.parameters,
            "clips": provenance.clips,
            "folds": len(provenance.folds),
            "classes": provenance.classes,
            "environment": provenance.environment,
            "commit": provenance.commit,
            "merbench": __version__,
        },
    }


def group(request: Request, fingerprint: str) -> str:
    """Return the name of the board's table in which a run stands: ``3db, frames, megc3, loso, full, data 2b3eeb``."""
    parts = (request.data.on, request.data.source, request.scheme, request.protocol, request.preset, f"data {fingerprint[:6]}")
    return ", ".join(parts)[:LONGEST_NAME]


def tags(request: Request, marks: Sequence[str] = ()) -> list[str]:
    """Return databases, source, scheme, protocol and preset, and why a row is not ranked with others."""
    words = [*databases.databases_of(request.data.on), request.data.source.replace("-", " "), request.scheme, request.protocol]
    return [tag[:LONGEST_TAG] for tag in dict.fromkeys([*words, request.preset, *marks])]


class SoFar:
    """The folds of a run that were told, and what they score together, seed by seed."""

    def __init__(self) -> None:
        self._matrices: dict[int, Any] = {}
        self._names: set[str] = set()

    def fold(self, result: FoldResult, seconds: float | None) -> Iterator[Record]:
        """Tell of a finished fold, once: its score, the pooled UF1 and UAR of its seed so far, and its losses by epoch.

        Scores that are not defined yet, since a class has not occurred, are left out.
        """
        if result.name in self._names:
            return
        self._names.add(result.name)
        matrix = scores.confusion(result.labels, result.probabilities[-1].argmax(-1), len(result.classes))
        pooled = self._matrices[result.seed] = self._matrices.get(result.seed, 0) + matrix
        first = {
            "fold": result.name,
            "folds": len(self._names),
            "fold/clips": len(result.clips),
            "fold/accuracy": float(scores.accuracy(matrix)),
            "fold/seconds": seconds,
            f"so far/seed {result.seed}/uf1": float(scores.uf1(pooled)),
            f"so far/seed {result.seed}/uar": float(scores.uar(pooled)),
        }
        curve = {f"loss/{stage}/{part}/{result.name}": values for stage, parts in result.curve.items() for part, values in parts.items()}
        yield {"do": "block", "name": result.name, "rows": [finite(first), *by_epoch(curve)]}


def by_epoch(curves: Mapping[str, Sequence[float]]) -> list[Record]:
    """Return one row per epoch with every curve that has a value there, thinned to `LONGEST_CURVE` rows; the last epoch is kept."""
    longest = max(map(len, curves.values()), default=0)
    epochs = np.unique(np.linspace(1, longest, min(longest, LONGEST_CURVE)).round().astype(int)).tolist()
    rows = ({"epoch": epoch, **{name: each[epoch - 1] for name, each in curves.items() if epoch <= len(each)}} for epoch in epochs)
    return [finite(row) for row in rows]


def closing(run: Run, row: Row) -> Iterator[Record]:
    """Tell of what is whole: of each complete seed one row per epoch holding all folds, then tables, then the board's row as summary."""
    if row.readings:
        request, provenance = run.described()
        held_out, classes = provenance.folds, provenance.classes
        seeds = {seed: run.results([fold_name(each, seed) for each in held_out]) for seed in row.seeds}
        for seed, folds in seeds.items():
            yield {"do": "block", "name": f"seed {seed}", "rows": _pooled_by_epoch(run, seed, folds)}
        yield {
            "do": "tables",
            "name": f"tables of seeds {','.join(map(str, row.seeds))}: {', '.join(row.readings)}",
            "tables": {
                "predictions": _predictions(seeds, classes),
                "score of each fold": _folds(seeds, provenance),
                "readings": _readings(row),
            },
            "confusion": {"confusion": {"classes": list(classes), "counts": row.readings["last"].confusion}},
        }
        yield {"do": "tags", "tags": tags(request, row.marks)}
    yield {"do": "summary", "values": summary(row)}


def summary(row: Row) -> Record:
    """Return a row of the board as flat values: those of ``last`` by their own names, those of other readings under theirs."""
    values: Record = {
        name: getattr(row, name) for name in ("clips", "subjects", "missing", "failed", "epochs", "parameters", "peak_mib", "assumed")
    }
    values |= {"seeds": len(row.seeds), "seconds a fold": row.seconds, "marks": ", ".join(row.marks)}
    values |= {"state": "whole" if row.readings and not row.missing else "incomplete"}
    for name, score in row.readings.items():
        here = "" if name == "last" else f"{name}/"
        values |= {f"{here}{each}": getattr(score, each) for each in ("uf1", "uar", "accuracy")}
        values |= {f"{here}chance uf1": score.chance_uf1}
        for which, pair in (("uf1", score.uf1_interval), ("uar", score.uar_interval)):
            values |= {f"{here}{which} low": pair[0], f"{here}{which} high": pair[1]}
        for database, part in score.parts.items() if len(score.parts) > 1 else ():
            values |= {f"{here}{database}/{each}": value for each, value in zip(("uf1", "uar", "accuracy"), part, strict=True)}
    values |= {f"average/{name}": value for name, value in row.averages.items()}
    values |= {f"measure/{name}": value for name, value in row.measures.items()}
    return finite(values)


def finite(values: Record) -> Record:
    """Return a table without what is not known: None, and numbers that are not finite."""
    return {name: each for name, each in values.items() if each is not None and not (isinstance(each, float) and not math.isfinite(each))}


def _pooled_by_epoch(run: Run, seed: int, folds: Sequence[FoldResult]) -> list[Record]:
    """Return one row per epoch: pooled scores where the epoch was recorded, and each loss as its mean over folds."""
    table = predictions(run, folds)
    matrices = scores.confusion(table.truth, table.predicted, len(folds[0].classes))
    epochs = folds[0].epochs.tolist()
    curves: dict[str, list[float]] = {}
    for name, score in (("uf1", scores.uf1), ("uar", scores.uar)):
        at = dict(zip(epochs, score(matrices).tolist(), strict=True))
        curves[f"all folds/seed {seed}/{name}"] = [at.get(epoch, math.nan) for epoch in range(1, epochs[-1] + 1)]
    for stage, parts in folds[0].curve.items():
        for part in parts:
            found = [fold.curve.get(stage, {}).get(part, []) for fold in folds]
            shortest = min(map(len, found))
            curves[f"all folds/seed {seed}/loss/{stage}/{part}"] = np.mean([each[:shortest] for each in found], axis=0).tolist()
    return by_epoch(curves)


def _predictions(seeds: Mapping[int, Sequence[FoldResult]], classes: Sequence[str]) -> Record:
    """Return what was predicted of each clip in the last epoch; whole seeds only, as many as a table takes."""
    rows: list[list[Any]] = []
    for seed, folds in seeds.items():
        here = [line for fold in folds for line in _lines(fold, seed, classes)]
        if rows and len(rows) + len(here) > LONGEST_TABLE:
            break
        rows += here
    columns = ["clip", "held out", "seed", "truth", "predicted", "right", *(f"p {name}" for name in classes)]
    return {"columns": columns, "data": rows}


def _lines(fold: FoldResult, seed: int, classes: Sequence[str]) -> Iterator[list[Any]]:
    last = fold.probabilities[-1]
    for clip, label, chances in zip(fold.clips, fold.labels.tolist(), last, strict=True):
        best = int(chances.argmax())
        yield [clip, fold.held_out, seed, classes[label], classes[best], label == best, *(round(float(p), 6) for p in chances)]


def _folds(seeds: Mapping[int, Sequence[FoldResult]], provenance: Provenance) -> Record:
    rows: list[list[Any]] = []
    for seed, folds in seeds.items():
        for fold in folds:
            right = int((fold.probabilities[-1].argmax(-1) == fold.labels).sum())
            cost = provenance.costs.get(fold.name, {})
            rows.append([fold.held_out, seed, len(fold.clips), right, right / len(fold.clips), cost.get("seconds"), cost.get("peak_mib")])
    return {"columns": ["held out", "seed", "clips", "right", "accuracy", "seconds", "peak MiB"], "data": rows[:LONGEST_TABLE]}


def _readings(row: Row) -> Record:
    """Return every reading beside its chance, as the board has it."""
    columns = ["reading", "UF1", "low", "high", "UAR", "accuracy", "chance UF1", "± sd"]
    cells: Iterable[list[Any]] = (
        [name, s.uf1, *s.uf1_interval, s.uar, s.accuracy, s.chance_uf1, s.chance_uf1_sd] for name, s in row.readings.items()
    )
    return {"columns": columns, "data": [[None if isinstance(c, float) and not math.isfinite(c) else c for c in line] for line in cells]}


_PATH = re.compile(r"(?<![^\s=\[,(:])(~|/|\\|\$|\.\.?[/\\]|[A-Za-z]:[/\\]|file:)[^,\])]*")
"""A path from a root, a home or the folder that one works in, where a value stands."""


def _without_paths(text: str) -> str:
    return _PATH.sub("(a path)", text)


def _discreet(value: Any) -> Any:
    """Return a configuration in which no value tells where something lies on this machine."""
    if isinstance(value, str):
        return _without_paths(value)
    if isinstance(value, list):
        return [_discreet(each) for each in value]
    if isinstance(value, dict):
        return {name: _discreet(each) for name, each in value.items()}
    return value


def finished_before(run: Run) -> Iterator[tuple[FoldResult, float | None]]:
    """Yield the folds that are there, in the order in which they were finished, and how long each took."""
    if not run.whole():
        return

    def when(name: str) -> tuple[int, str]:
        return run.fold_path(name).stat().st_mtime_ns, name

    costs = run.provenance.costs
    for result in run.results(sorted(run.finished(), key=when)):
        yield result, costs.get(result.name, {}).get("seconds")
