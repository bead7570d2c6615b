"""A run of merbench itself, scored as if it were anybody's."""

from __future__ import annotations

import numpy as np

from merbench.board.foreign.predictions import Predictions
from merbench.board.rows import Table, predictions
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.results import Run


def of_run(run: Run) -> Predictions:
    """Return the predictions of all complete seeds of a run.

    Raises:
        UserError: no seed has all its folds, or seeds have other clips or true classes.
    """
    request, provenance = run.described()
    tables = complete(run)
    if any(not (np.array_equal(each.clips, tables[0].clips) and np.array_equal(each.truth, tables[0].truth)) for each in tables):
        raise UserError("the seeds of a run have other clips or labels", where=run.path, remedy="name the files of one seed")
    recorded = len(tables[0].predicted)
    about = f"{request.name} on {request.data.on}, {request.data.source}, {request.scheme}, {request.protocol}, {request.preset}"
    return Predictions(
        f"run of merbench, {about}", tuple(tables), tuple(range(1, recorded + 1)) if recorded > 1 else (), tuple(provenance.classes)
    )


def complete(run: Run) -> list[Table]:
    """Return the predictions of each seed that has all its folds.

    Raises:
        UserError: none has.
    """
    finished, held_out = run.finished(), run.described()[1].folds
    seeds = sorted({int(name.rsplit("--s", 1)[1]) for name in finished})
    names = {seed: [fold_name(each, seed) for each in held_out] for seed in seeds}
    tables = [predictions(run, run.results(names[seed])) for seed in seeds if finished.issuperset(names[seed])]
    if not tables:
        raise UserError("no seed of this run has all its folds", where=run.path, remedy="run its command again to finish it")
    return tables
