"""The dashboard of a wandb project, as code: its table is the board, its panels are what a run tells while it goes.

The library that lays it out is the extra ``dashboard`` (wandb-workspaces). Nothing here asks a server but `save`.
"""

from __future__ import annotations

import importlib.util
import json
import os
from typing import TYPE_CHECKING, Any

from merbench.errors import UserError, told

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

NAME = "merbench board"

COLUMNS = ("uf1", "uf1 low", "uf1 high", "uar", "accuracy", "oracle-subject/uf1", "oracle-subject/chance uf1", "chance uf1", "seeds")
"""Of the project's table, from the summary of each run; the ranked reading first, the oracle beside its chance."""

FACTS = ("parameters", "seconds a fold", "peak_mib", "missing", "marks")


def workspace(entity: str, project: str) -> Workspace:
    """Return the view: runs grouped as the board's tables are, best UF1 of the last epoch first.

    Args:
        entity: the user or team that the project belongs to; may be empty where nothing is saved.
        project: its name.

    Raises:
        UserError: the library is not there.
    """
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise UserError(
            "what lays dashboards out is not installed",
            where="wandb_workspaces",
            remedy="pip install 'merbench[dashboard]', or make test, which has it",
        )
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as ws
    from wandb_workspaces.reports.v2 import interface as wr

    last = ws.Section(
        name="Score of the last epoch",
        panels=[
            wr.BarPlot(title="UF1", metrics=["uf1"], max_runs_to_show=100),
            wr.BarPlot(title="UAR", metrics=["uar"], max_runs_to_show=100),
            wr.ScatterPlot(title="UF1 and what a fold costs", x=wr.SummaryMetric("seconds a fold"), y=wr.SummaryMetric("uf1"), log_x=True),
        ],
        is_open=True,
    )
    live = ws.Section(
        name="While folds finish",
        panels=[
            wr.LinePlot(title="Pooled UF1 so far", x="folds", metric_regex=r"so far/seed \d+/uf1", range_y=(0, 1)),
            wr.LinePlot(title="Pooled UAR so far", x="folds", metric_regex=r"so far/seed \d+/uar", range_y=(0, 1)),
            wr.LinePlot(title="Accuracy of each fold", x="folds", y=["fold/accuracy"], range_y=(0, 1)),
            wr.LinePlot(title="Loss of each fold", x="epoch", metric_regex=r"loss/.*"),
        ],
        is_open=True,
    )
    epochs = ws.Section(
        name="By epoch, all folds",
        panels=[
            wr.LinePlot(
                title="Pooled UF1: to be looked at, never to be chosen by",
                x="epoch",
                metric_regex=r"all folds/seed \d+/uf1",
                range_y=(0, 1),
            ),
            wr.LinePlot(title="Mean loss", x="epoch", metric_regex=r"all folds/seed \d+/loss/.*"),
        ],
        is_open=False,
    )
    tables = ws.Section(
        name="Tables of the runs",
        panels=[wr.WeavePanelSummaryTable(table_name=name) for name in ("readings", "score of each fold", "predictions")],
        is_open=False,
    )
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[last, live, epochs, tables],
        settings=ws.WorkspaceSettings(max_runs=50),
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Metric("Group")],
            order=[expr.Ordering(expr.Summary("uf1"), ascending=False)],
            pinned_columns=["run:displayName", *(f"summary:{name}" for name in (*COLUMNS, *FACTS))],
        ),
    )


def specification(entity: str, project: str) -> str:
    """Return the view as the JSON that the server is given, asking nobody.

    Raises:
        UserError: the library is not there.
    """
    os.environ.update(WANDB_MODE="offline", WANDB_ERROR_REPORTING="false")  # before it is imported: a thread of wandb would ask the server
    view = workspace(entity, project)._to_model()
    return json.dumps(json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True)), indent=1) + "\n"


def save(entity: str, project: str) -> str:
    """Save the view in the project and return its address.

    Raises:
        UserError: the library is not there, or the server refuses or does not answer.
    """
    os.environ.update(WANDB_ERROR_REPORTING="false", WANDB_SILENT="true")
    made: Any = workspace(entity, project)
    try:
        return str(made.save_as_new_view().url)
    except Exception as error:  # no common class stands above what its clients raise
        raise UserError(
            f"the dashboard could not be saved: {' '.join(told(error).split())[:300]}",
            where=f"{entity}/{project}",
            remedy="set WANDB_API_KEY, make one run with --wandb online first, or write it to a file: --out dashboard.json",
        ) from error
