"""A run of merbench itself, scored as if it were anybody's."""

from __future__ import annotations

import numpy as np

from merbench.board.compare import complete
from merbench.board.foreign.predictions import Predictions
from merbench.errors import UserError
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
