"""One run as a page: what it scores, whom and what it fails on, how sure it is, how it was trained and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from markupsafe import Markup

from merbench.board import render
from merbench.board.pages import charts, judged, words
from merbench.board.pages.charts import Dot, Line, Plot, Rule
from merbench.board.pages.judged import Calibration, Curve, Hard, Judged, Measure
from merbench.board.pages.page import rendered
from merbench.board.pages.pictures import NOTE, Picture
from merbench.board.rows import Row, row_of
from merbench.data import databases
from merbench.foldfile import fold_name
from merbench.results import Provenance, Run


@dataclass(frozen=True)
class Images:
    """Pictures that were asked for.

    Attributes:
        clips: of the hardest clips, by key.
        maps: where the method looks: what pictures are of, with what is true and what was predicted, and the pictures.
        lacking: why there are no maps; empty where there are, or nobody asked.
    """

    clips: Mapping[str, Sequence[Picture]] = field(default_factory=dict)
    maps: Sequence[tuple[str, Sequence[Picture]]] = ()
    lacking: str = ""


@dataclass(frozen=True)
class Report:
    """A run, read: its row, and all its held-out clips.

    Attributes:
        run, row, provenance: of it.
        found: its complete seeds.
        hardest: the clips it fails on most.
    """

    run: Run
    row: Row
    provenance: Provenance
    found: Judged
    hardest: list[Hard]


def read(run: Run) -> Report:
    """Read a run.

    Raises:
        UserError: no seed has all its folds, or files cannot be read or do not fit together.
    """
    row = row_of(run)
    found = judged.judged(run, row.seeds)
    return Report(run, row, run.provenance, found, judged.hardest(found))


def page(report: Report, images: Images | None = None) -> str:
    """Return a run's page.

    Args:
        report: of the run.
        images: clips and maps to show; None: nobody asked for any.
    """
    row, found = report.row, report.found
    if row.epochs == 1:  # its inner epoch is its last; ranked apart, but nothing to show twice
        row = replace(row, readings={name: score for name, score in row.readings.items() if name != "inner"})
    sure = judged.calibration(found)
    return rendered(
        "report.html",
        row=row,
        found=found,
        epochs=_epochs(row, found),
        subjects=_subjects(found),
        calibration=sure,
        reliability=_reliability(sure),
        hardest=report.hardest,
        curves=_curves(judged.curves(found)),
        measures=[(each, _spread(each)) for each in judged.measures(found)],
        configuration=_configuration(asdict(report.run.request)),
        provenance=report.provenance,
        costs=_costs(report),
        images=images,
        note=NOTE,
        charts=charts,
        render=render,
        words=words,
    )


def _configuration(told: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the settings of a request by what they are of."""
    groups = {"request": {name: value for name, value in told.items() if not isinstance(value, Mapping)}}
    groups |= {name: dict(value) for name, value in told.items() if isinstance(value, Mapping)}
    return {group: [(name, _told(value)) for name, value in settings.items()] for group, settings in groups.items() if settings}


def _told(value: Any) -> str:
    return (", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)) or "none"


def _epochs(row: Row, found: Judged) -> Markup | None:
    """Return the pooled UF1 by epoch with every reading marked; None where only one epoch was recorded."""
    if len(found.epochs) < 2:
        return None
    scores, at = judged.by_epoch(found), found.epochs.astype(float).tolist()
    thin = [Line(list(zip(at, each.tolist(), strict=True)), "thin") for each in scores] if len(scores) > 1 else []
    dots = []
    if "oracle-epoch" in row.readings:
        best = np.nan_to_num(scores).argmax(1)
        dots += [Dot(at[index], float(each[index]), kind="oracle") for index, each in zip(best, scores, strict=True)]
    dots.append(Dot(at[-1], float(scores.mean(0)[-1])))  # over an oracle that chose the same epoch
    rules = [
        Rule(score.uf1, f"{words.named(name).lower()} {score.uf1:.3f}", "oracle" if words.is_oracle(name) else "")
        for name, score in row.readings.items()
    ]
    rules.append(Rule(row.readings[words.FIRST].chance_uf1, f"chance {row.readings[words.FIRST].chance_uf1:.3f}", "low"))
    return Plot(
        label=f"Pooled UF1 at each of {len(at)} recorded epochs, from {scores.mean(0)[0]:.3f} to {scores.mean(0)[-1]:.3f}",
        x_name="epoch",
        y_name="UF1, all folds pooled",
        lines=[*thin, Line(list(zip(at, scores.mean(0).tolist(), strict=True)))],
        rules=[rule for rule in rules if math.isfinite(rule.y)],
        dots=[dot for dot in dots if math.isfinite(dot.y)],
        size=(860, 300),
        margin=168,
        x_step=1,
    ).drawn()


def _subjects(found: Judged) -> dict[str, list[tuple[judged.Subject, Markup]]]:
    """Return every subject with its bar, by database."""
    rows = judged.by_subject(found)
    most = max(row.clips for row in rows)
    there = {row.database for row in rows}
    listed = [name for name in databases.known() if name in there]
    tables: dict[str, list[tuple[judged.Subject, Markup]]] = {name: [] for name in (*listed, *sorted(there - set(listed)))}
    for row in rows:
        label = f"{row.right:.3g} of {row.clips} clips right"
        tables[row.database].append((row, charts.split(row.right, row.clips - row.right, most, label)))
    return tables


def _reliability(sure: Calibration) -> Markup:
    width = 1 / len(sure.clips)
    met = [(x, y) for x, y in zip(sure.certainty.tolist(), sure.accuracy.tolist(), strict=True) if math.isfinite(x)]
    return Plot(
        label=f"Accuracy by certainty; expected calibration error {sure.error:.3f}",
        x_name="certainty: highest probability of a clip",
        y_name="share judged right",
        bars={index * width: (width, y) for index, y in enumerate(sure.accuracy.tolist()) if math.isfinite(y)},
        lines=[Line([(0, 0), (1, 1)], "ideal")],
        dots=[Dot(x, y) for x, y in met],
        size=(340, 300),
        x=(0, 1),
        y=(0, 1),
    ).drawn()


def _curves(found: Sequence[Curve]) -> dict[str, list[Markup]]:
    """Return a chart a part of the loss, by stage."""
    stages: dict[str, list[Markup]] = {}
    for curve in found:
        stages.setdefault(curve.stage, []).append(_curve(curve))
    return stages


def _curve(curve: Curve) -> Markup:
    at = [float(index) for index in range(1, len(curve.middle) + 1)]
    band = list(zip(at, curve.low.tolist(), curve.high.tolist(), strict=True))
    return Plot(
        label=f"{curve.part} in {curve.stage}: median over folds from {curve.middle[0]:.4g} to {curve.middle[-1]:.4g}",
        x_name="epoch",
        y_name=curve.part,
        lines=[Line(list(zip(at, curve.middle.tolist(), strict=True)), band=band)],
        dots=[Dot(at[0], float(curve.middle[0]))] if len(at) == 1 else [],
        x=(0.5, 1.5) if len(at) == 1 else None,
        x_step=1,
    ).drawn()


def _spread(measure: Measure) -> Markup:
    return charts.histogram(measure.values, f"spread of {measure.name} over held-out clips")


@dataclass(frozen=True)
class Costs:
    """What the folds of complete seeds took.

    Attributes:
        folds: by name, seconds and MiB.
        seconds: of all together.
        wall: of all sessions that worked on the run.
        chart: how seconds are spread over folds; empty for one fold.
    """

    folds: dict[str, tuple[float, float]]
    seconds: float
    wall: float
    chart: Markup


def _costs(report: Report) -> Costs:
    known = report.provenance.costs
    names = [fold_name(held_out, seed) for seed in report.found.seeds for held_out in report.provenance.folds]
    folds = {name: (known[name]["seconds"], known[name]["peak_mib"]) for name in names if name in known}
    seconds = [pair[0] for pair in folds.values()]
    return Costs(folds, sum(seconds), report.provenance.wall_seconds, _spread_of_costs(seconds))


def _spread_of_costs(seconds: Sequence[float]) -> Markup:
    """Return how many folds took how long."""
    if len(seconds) < 2 or min(seconds) == max(seconds):
        return Markup("")
    counts, edges = np.histogram(seconds, bins=16)
    width = float(edges[1] - edges[0])
    return Plot(
        label=f"{len(seconds)} folds took from {min(seconds):.3g} to {max(seconds):.3g} seconds",
        x_name="seconds a fold",
        y_name="folds",
        bars={float(edge): (width, float(count)) for edge, count in zip(edges[:-1], counts, strict=True) if count},
        size=(420, 150),
        x=(float(edges[0]), float(edges[-1])),
        y=(0, float(counts.max()) * 1.05),
    ).drawn()
