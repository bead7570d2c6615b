"""Folders with a file a subject, as CausalNet and others leave them, and workbooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from merbench.board.foreign import files, folders, listed, predictions
from merbench.board.foreign.predictions import Predictions
from merbench.errors import UserError
from tests.board.foreign import Row, content, delimited, matrix, parquet, read, read_matrix, rows
from tests.conftest import Cli
from tests.data.made_sheets import xlsx

NAMES = ("negative", "positive", "surprise")


def causal(found: list[Row]) -> str:
    """Return a subject's file as CausalNet writes it."""
    pairs = [[row.predicted, row.truth] for row in found]
    return f"best epoch: 12\nbest acc: 0.5\nmatrix_acc: {pairs}\n"


def nameless(found: list[Row]) -> str:
    return "y_true,y_pred\n" + "".join(f"{row.truth},{row.predicted}\n" for row in found)


def with_clips(found: list[Row]) -> str:
    return "clip,truth,pred\n" + "".join(f"{row.clip},{row.truth},{row.predicted}\n" for row in found)


def workbook(found: list[Row]) -> bytes:
    return xlsx(
        [("made by hand", ""), ("Clip", "Truth", "Prediction"), *((row.clip, NAMES[row.truth], NAMES[row.predicted]) for row in found)]
    )


FORMS: dict[str, tuple[str, Callable[[list[Row]], str | bytes]]] = {
    "CausalNet": ("{who}_acc.txt", causal),
    "a CSV a subject": ("{who}.csv", nameless),
    "with clips": ("{database}/pred_{who}.csv", with_clips),
    "in folders": ("{database}/{number}/predictions.tsv", lambda found: delimited(found, "\t")),
    "numbered, below their database": ("{database}/subject_{number}.csv", nameless),
    "that say it themselves": ("fold{place}.csv", delimited),
    "parquet": ("fold-{place}.parquet", parquet),
}


def written(root: Path, form: str, found: list[Row]) -> Path:
    """Write a folder of one file a subject."""
    name, write = FORMS[form]
    by: dict[str, list[Row]] = {}
    for row in found:
        by.setdefault(row.subject, []).append(row)
    for place, (subject, members) in enumerate(by.items()):
        database, who = subject.split("/")
        path = root / name.format(who=who, database=database, number=int("".join(filter(str.isdigit, who))), place=place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(write(members)))
    return root


def scored(root: Path, database: str | None = None) -> Predictions:
    return listed.compared(predictions.understand(folders.read(root, database), root, database))


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_reads_back(form: str, tmp_path: Path) -> None:
    found = rows(4)
    told = scored(written(tmp_path, form, found))
    assert read_matrix(told) == matrix(found)
    assert {*told.tables[0].subjects.tolist()} == {row.subject for row in found}
    assert told.best == (form == "CausalNet")
    assert told.form.startswith("folder of 68 files: ")
    by_name = any("is told by the names of 68 files" in note for note in told.notes)
    assert by_name == (form not in ("that say it themselves", "parquet", "in folders"))
    assert any("MEGC2019" in note for note in told.notes), "no clip is missing or of another"


def test_workbooks_alone_and_in_a_folder(tmp_path: Path) -> None:
    found = [row for row in rows(5, databases=("casme2",)) if row.subject in ("casme2/sub01", "casme2/sub02")]
    for who in ("sub01", "sub02"):
        (tmp_path / f"{who}.xlsx").write_bytes(workbook([row for row in found if row.bare == who]))
    told = scored(tmp_path)
    assert read_matrix(told) == matrix(found)
    assert {*told.tables[0].clips.tolist()} == {f"{row.subject}/{row.clip}" for row in found}


def test_what_is_no_prediction_is_told_and_an_empty_list_too(tmp_path: Path) -> None:
    found = rows(4)
    written(tmp_path, "CausalNet", found)
    (tmp_path / "README.txt").write_text("how to run it")
    (tmp_path / "CausalNet.xlsx").write_bytes(xlsx([("col is pre", "happiness"), ("happiness", 7)]))
    (tmp_path / "model.pth").write_bytes(b"\x80\x02")
    (tmp_path / "s02_acc.txt").write_text(causal([]))
    told = scored(tmp_path)
    assert any("2 files without predictions passed over: CausalNet.xlsx, README.txt" in note for note in told.notes)
    assert any("no predictions stand in s02_acc.txt" in note and "flatters" in note for note in told.notes)
    assert any("1 of the 68 subjects of 3DB is missing: smic/s02" in warning for warning in told.warnings)


def test_plain_numbers_are_of_the_database_that_is_named(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}_best.csv").write_text("truth,pred\n0,1\n2,2\n")
    assert {*scored(tmp_path, "samm").tables[0].subjects.tolist()} == {"samm/001", "samm/002"}
    with pytest.raises(UserError, match="neither its name nor a column tells") as caught:
        scored(tmp_path)
    assert "1_best.csv" in caught.value.where
    assert "--database" in caught.value.remedy


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ({"s01.csv": "truth,pred\n0,1\n", "s1.txt": "truth,pred\n0,1\n"}, "two files are of subject smic/s01: s01.csv and s1.txt"),
        ({"s01.csv": "truth,pred\n0,1\n", "s02.csv": "clip,truth,pred\nx,0,1\n"}, "other columns than s01.csv"),
        ({"s01.csv": "truth,pred\n0,1\n", "s02.csv": "truth,pred\n0\n"}, "line 2 has 1 cells"),
        ({"s01.csv": "truth,pred\n0,1\n", "s02.csv": ""}, "it is empty"),
        ({"s01.csv": "clip,truth,pred\ns02_ne_01,0,1\nx,0,1\n"}, "says subject smic/s01, and its clip s02_ne_01"),
        ({"s01_acc.txt": causal([]) + causal([Row("smic/s01", "", 0, 1)])}, "the pairs of two trainings"),
        ({"s01_acc.txt": "matrix_acc: [[0, 1, 2]]\n"}, "no list of pairs"),
        ({"s01_acc.txt": "matrix_acc: [[0, 1]"}, "cut off|not closed"),
        ({"s01_s02.csv": "truth,pred\n0,1\n"}, "neither its name nor a column"),
        ({"notes.txt": "nothing"}, "none of its files has predictions"),
        ({"x.png": "nothing"}, "no file that ends with"),
        ({"s01.xlsx": "PK\x03\x04xl/workbook.xml"}, "a workbook is damaged"),
    ],
)
def test_what_cannot_be_read_is_told(made: dict[str, str], what: str, tmp_path: Path) -> None:
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=what):
        scored(tmp_path)


def test_links_out_and_endless_folders_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "results"
    root.mkdir()
    (tmp_path / "s01.csv").write_text("truth,pred\n0,1\n")
    (root / "s01.csv").symlink_to(tmp_path / "s01.csv")
    with pytest.raises(UserError, match="leads out of"):
        folders.read(root)
    (root / "s01.csv").unlink()
    (root / "s02.csv").write_text("truth,pred\n0,1\n")
    (root / "again").symlink_to(root)
    assert len(scored(root).tables[0].clips) == 1
    with monkeypatch.context() as patched:
        patched.setattr(files, "LARGEST", 5)
        with pytest.raises(UserError, match="longer than 5 bytes"):
            folders.read(root)
    monkeypatch.setattr(folders, "FILES", 0)
    with pytest.raises(UserError, match="more than 0 files"):
        folders.read(root)


def test_one_subjects_file_alone_lacks_its_subject() -> None:
    with pytest.raises(UserError, match="no column names subjects") as caught:
        read(causal([Row("smic/s01", "", 0, 1)]))
    assert "folder" in caught.value.remedy


def test_a_folder_is_scored_as_it_is_typed(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "results", "CausalNet", rows(4))
    said = cli("score", "results")
    assert (said.code, said.err) == (0, "")
    assert "results (folder of 68 files: CausalNet's file of a subject)" in said.out
