"""summary.json is a view: used where it fits, made anew where it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from merbench.board import rows, summary
from tests.board.test_rows import make_run


def test_a_summary_is_a_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    row = rows.row_of(run)
    kept = run.path / "summary.json"
    with monkeypatch.context() as patched:
        patched.setattr(rows, "_compute", lambda _: pytest.fail("the summary was not used"))
        assert rows.row_of(run) == row
    good = kept.read_text()
    edited = good.replace(f'"uf1": {row.readings["last"].uf1}', '"uf1": 0.99')
    assert edited != good
    for damage in ("", "{", "[" * 100_000, json.dumps({"format": 2}), good.replace('"uf1"', '"uf2"'), edited):
        kept.write_text(damage)
        assert rows.row_of(run) == row
    assert rows.row_of(make_run(tmp_path, quality=0.9)) != row, "other fold files, another row"


def test_a_row_of_another_run_or_version_is_made_anew(tmp_path: Path) -> None:
    """Under a seal that is right: a summary copied from elsewhere, or of a version that had other columns."""
    run = make_run(tmp_path)
    row = rows.row_of(run)
    kept = summary.known(run.path, row.digest)
    assert kept is not None
    assert summary.known(run.path, "of other files") is None
    fewer = {name: value for name, value in kept.items() if name != "clips"}
    without: dict[str, Any] = {"readings": {"last": {}}}
    others: list[Any] = [{**kept, "key": "other"}, fewer, {**kept, "more": 1}, {**kept, **without}, {**kept, "readings": 1}, {}, []]
    for other in others:
        summary.keep(run.path, row.digest, other)
        assert rows.row_of(run) == row


def test_where_nothing_can_be_written_there_is_a_row_all_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.path / summary.FILE).mkdir()
    assert rows.row_of(run) == rows.row_of(run)
    assert {path.name for path in run.path.iterdir()} == {"folds", "provenance.json", "request.yaml", "summary.json"}, (
        "nothing half written"
    )
