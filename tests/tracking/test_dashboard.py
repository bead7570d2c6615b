"""The dashboard, built without a server, shows what runs tell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from merbench.board.rows import row_of
from merbench.tracking import records
from tests.conftest import Cli
from tests.tracking.server import Server
from tests.tracking.test_records import with_curves

PROGRAM = """
import sys
from merbench.cli import main
for words in ({0!r}, {1!r}):
    sys.argv = ["merbench", "wandb", "dashboard", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""


def columns_of(section: dict[str, Any]) -> list[str]:
    """Return what the table of runs shows of their summaries."""
    return [name.removeprefix("summary:") for name in section["runSets"][0]["runFeed"]["columnPinned"] if name.startswith("summary:")]


def test_every_panel_and_column_is_of_what_is_told(tmp_path: Path) -> None:
    """Built in a process of its own: the library imports wandb, which this one is not to have."""
    out = tmp_path / "board.json"
    words = {"save": ["--entity", "me"], "write": ["--project", "mine", "--out", str(out)]}
    with Server() as server:
        outside = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "k" * 40, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(*words.values())], capture_output=True, text=True, timeout=120, env=os.environ | outside
        )
        server.shutdown()
    assert (done.returncode, done.stdout.startswith(f"{server.url}/me/merbench?nw=")) == (0, True), done.stderr
    assert f"the dashboard of mine is written to {out}" in done.stdout
    section = json.loads(out.read_text())["section"]
    assert [columns_of(view["section"]) for view in server.views] == [columns_of(section)]

    run, so_far = with_curves(tmp_path), records.SoFar()
    closing = list(records.closing(run, row_of(run)))
    blocks = [block for fold in run.results(sorted(run.finished())) for block in so_far.fold(fold, 1.0)]
    told = {name for block in (*blocks, *closing) for row in block.get("rows", ()) for name in row}
    summary = next(record["values"] for record in closing if record["do"] == "summary")
    tables = next(record["tables"] for record in closing if record["do"] == "tables")

    (runs,) = section["runSets"]
    columns = columns_of(section)
    assert columns[:3] == ["uf1", "uf1 low", "uf1 high"]
    assert set(columns) <= set(summary)
    assert runs["sort"]["keys"] == [{"key": {"section": "summary", "name": "uf1"}, "ascending": False}]
    assert runs["grouping"] == [{"section": "run", "name": "group"}]

    panels = [panel for part in section["panelBankConfig"]["sections"] for panel in part["panels"]]
    assert len(panels) == 12
    for panel in panels:
        config = panel["config"]
        if panel["viewType"] == "Weave":
            assert any(json.dumps(name) in json.dumps(config) for name in tables)
            continue
        if "metricRegex" in config:
            assert any(re.fullmatch(config["metricRegex"], name) for name in told), config
        for name in config.get("metrics", ()):
            assert name in told | set(summary), config
        for axis in ("xAxis", "yAxis"):
            assert config.get(axis, "epoch").removeprefix("summary:") in told | set(summary), config


def test_whose_project_it_is_must_be_known(here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    answer = cli("wandb", "dashboard")
    assert answer.code == 2
    assert "--entity" in answer.err
