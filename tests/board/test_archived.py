"""Archives on the board: what they score is counted again, and who seals a wrong row is found out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from merbench.board import archive, archived, compare, ranking, render, rows
from merbench.board.pages import html
from merbench.config import shipped
from merbench.errors import UserError
from merbench.results import Run
from tests.board.test_archive import resealed
from tests.board.test_rows import make_run


def made(root: Path, method: str = "example", **of: Any) -> Run:
    """Write a run of clips that no list names, so that its archive can be told from a wrong one by its numbers alone."""
    return make_run(root, method, scheme="objective-5", **of)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    archive.save(made(tmp_path / "runs", seeds=2), tmp_path / "one.parquet")
    return tmp_path / "one.parquet"


def test_the_row_of_an_archive_is_that_of_its_run(tmp_path: Path, path: Path) -> None:
    there = rows.row_of(made(tmp_path / "runs", seeds=2))
    found = archived.row_of(path)
    assert found == replace(there, archive=path.as_posix(), digest=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("kind", [{"epochs": 1}, {"inner": 3}])
def test_what_is_tested_in_pairs_is_the_same_by_every_reading(tmp_path: Path, kind: dict[str, int]) -> None:
    run = made(tmp_path / "runs", seeds=2, **kind)  # type: ignore[arg-type]
    archive.save(run, tmp_path / "one.parquet")
    found = archived.row_of(tmp_path / "one.parquet")
    assert set(found.by_subject) == {"last", "inner"}
    assert found.by_subject == rows.row_of(run).by_subject


def test_places_are_those_of_the_runs(tmp_path: Path) -> None:
    runs = [made(tmp_path / "runs", name, quality=quality) for name, quality in (("good", 1.0), ("fair", 0.95), ("poor", 0.2))]
    for run in runs:
        archive.save(run, tmp_path / f"{run.request.method}.parquet")
    expected = ranking.placed([rows.row_of(run) for run in runs])
    mixed = [archived.row_of(tmp_path / "good.parquet"), rows.row_of(runs[1]), archived.row_of(tmp_path / "poor.parquet")]
    assert [row.places for row in ranking.placed(mixed)] == [row.places for row in expected]
    assert [row.places["last"] for row in expected] == [(1, 2), (1, 2), (3, 3)]


def test_an_archive_cannot_pass_for_another_run_where_p_is_kept(tmp_path: Path) -> None:
    """A file that claims the digest of a run would leave p of its own pairs as those of the run."""
    good, other = (rows.row_of(made(tmp_path / "runs", name, quality=1.0)) for name in ("good", "other"))
    archive.save(made(tmp_path / "runs", "poor", quality=0.2), tmp_path / "poor.parquet")
    resealed(tmp_path / "poor.parquet", lambda about: about["row"].update(digest=good.digest))
    ranking.placed([archived.row_of(tmp_path / "poor.parquet"), other], tmp_path)
    assert [row.places["last"] for row in ranking.placed([good, other], tmp_path)] == [(1, 2), (1, 2)]


def test_columns_that_came_later_are_filled_in(path: Path) -> None:
    def older(about: dict[str, Any]) -> None:
        for name in ("versions", "sources", "superseded", "archive"):
            del about["row"][name]

    whole = archived.row_of(path)
    resealed(path, older)
    assert replace(archived.row_of(path), digest=whole.digest) == whole


def first_subject(about: dict[str, Any], reading: str) -> list[list[int]]:
    counts: list[list[int]] = next(iter(about["row"]["by_subject"][reading].values()))
    return counts


def one_more_right(about: dict[str, Any]) -> None:
    counts = first_subject(about, "inner")[0]
    wrong = next(index for index in (1, 2) if counts[index])  # of the first class, judged to be another
    counts[0], counts[wrong] = counts[0] + 1, counts[wrong] - 1


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a better score": (lambda about: about["row"]["readings"]["last"].update(uf1=0.99), "does not hold together: UF1"),
    "a kinder part": (
        lambda about: about["row"]["readings"]["last"]["parts"].update(smic=[1.0, 1.0, 1.0]),
        "does not hold together: UF1, UAR, accuracy of smic",
    ),
    "seconds in words": (lambda about: about["row"].update(seconds="few"), "'seconds' is not what it should be"),
    "no seconds": (lambda about: about["row"].pop("seconds"), "not what it should be: its keys"),
    "marks that are one word": (lambda about: about["row"].update(marks="quick"), "'marks' is not"),
    "a name that clears the screen": (lambda about: about["row"].update(method="\x1b[2Jmine"), "cannot be seen"),
    "a measure that does": (lambda about: about["row"]["measures"].update({"error\x1b[2J": 0.1}), "cannot be seen"),
    "a better name": (
        lambda about: about["row"].update(method="featref"),
        "'method' is featref, that of its request and provenance example",
    ),
    "a better table": (lambda about: about["row"].update(source="frames"), "'source' is frames"),
    "other data": (lambda about: about["row"].update(data="k1"), "'data' is k1"),
    "a request of another epoch": (
        lambda about: about.update(request=about["request"].replace("epochs: 4", "epochs: 5")),
        "its key is not that",
    ),
    "no marks": (lambda about: about["row"].update(marks=[]), "'marks' is"),
    "more subjects": (lambda about: about["row"].update(subjects=11), "other classes, seeds or clips"),
    "one seed more": (lambda about: about["row"].update(seeds=[0, 1, 2]), "other classes, seeds or clips"),
    "one clip less": (lambda about: about["row"].update(clips=59), "other classes, seeds or clips"),
    "other classes": (lambda about: about["row"].update(classes=["surprise", "positive", "negative"]), "other classes, seeds or clips"),
    "a reading that nobody knows": (lambda about: about["row"]["readings"].update(best={}), "'readings' is not"),
    "an oracle of words": (lambda about: about["row"]["readings"]["oracle-subject"].update(uf1="1"), "'uf1' is not"),
    "an oracle without parts": (lambda about: about["row"]["readings"]["oracle-subject"].pop("parts"), "its keys are"),
    "an interval of one end": (lambda about: about["row"]["readings"]["inner"].update(uf1_interval=[0.1]), "of 'inner' is not"),
    "an inner reading of nobody": (lambda about: about["row"]["by_subject"].update(inner={}), "of other subjects"),
    "no inner reading by subject": (lambda about: about["row"]["by_subject"].pop("inner"), "it lacks 'inner'"),
    "an inner reading of one seed": (lambda about: first_subject(about, "inner").pop(), "not what it should be"),
    "a better inner reading": (one_more_right, "is not that of its subjects"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    content = archive.pack(made(tmp_path_factory.mktemp("whole"), seeds=2, inner=3))
    path = tmp_path_factory.mktemp("sealed") / "one.parquet"
    path.write_bytes(content)
    resealed(path, lambda about: None)
    archived.row_of(path)
    return content


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_row_that_is_sealed_anew_is_refused(tmp_path: Path, whole: bytes, what: str) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(whole)
    change, told = WRONG[what]
    resealed(path, change)
    with pytest.raises(UserError, match=told) as refusal:
        archived.row_of(path)
    assert refusal.value.where == str(path)


def test_clips_that_are_not_those_of_their_scheme_are_refused(tmp_path: Path) -> None:
    archive.save(make_run(tmp_path / "runs"), tmp_path / "one.parquet")
    with pytest.raises(UserError, match="60 clips have another class in megc3"):
        archived.row_of(tmp_path / "one.parquet")


def test_what_pairs_are_tested_by_is_not_taken_from_the_row(path: Path) -> None:
    expected = archived.row_of(path)
    resealed(path, lambda about: about["row"]["by_subject"].update(last={"smic/s0": [[60, 0, 0, 0, 60, 0, 0, 0, 60]]}))
    assert replace(archived.row_of(path), digest=expected.digest) == expected


def test_chance_is_counted_again_too(path: Path) -> None:
    expected = archived.row_of(path).readings["last"]
    resealed(path, lambda about: about["row"]["readings"]["last"].update(chance_uf1=0.01, chance_uf1_sd=0.0))
    assert archived.row_of(path).readings["last"] == expected


def test_a_score_without_a_value_passes(tmp_path: Path) -> None:
    run = made(tmp_path / "runs")
    archive.save(run, tmp_path / "one.parquet")
    resealed(tmp_path / "one.parquet", lambda about: about["row"]["readings"]["oracle-subject"].update(uf1=float("nan")))
    found = archived.row_of(tmp_path / "one.parquet").readings["oracle-subject"]
    assert found.uf1 != found.uf1


def test_a_run_stands_once(tmp_path: Path, path: Path) -> None:
    here, other = rows.row_of(made(tmp_path / "runs", seeds=2)), archived.row_of(path)
    assert archived.joined([here], [other]) == [here]
    assert archived.joined([replace(here, seeds=(0,))], [other]) == [other], "it has more seeds"
    assert archived.joined([], [other, other]) == [other]


def test_files_are_found_below_a_folder_and_folds_are_none(tmp_path: Path, path: Path) -> None:
    assert archived.files([tmp_path, path]) == [path]
    with pytest.raises(UserError, match="no archive in this folder"):
        archived.files([tmp_path / "runs"])
    with pytest.raises(UserError, match="no such file"):
        archived.files([tmp_path / "nothing"])


def test_the_board_says_what_is_of_an_archive(tmp_path: Path, path: Path) -> None:
    mine = rows.row_of(made(tmp_path / "runs", "mine"))
    both = ranking.placed([mine, archived.row_of(path)])
    told = "Of archives, not of runs in this folder, are 1: example."
    assert told in render.markdown(both)
    assert "Of archives" not in render.markdown([mine])
    assert [(row["method"], row["archive"]) for row in json.loads(render.as_json(both))] == [("mine", ""), ("example", path.as_posix())]
    page = html.page(both)
    assert f"<dt>archive</dt><dd><code>{path.as_posix()}</code>" in page
    assert (page.count("<dt>its own page</dt>"), page.count(">of an archive<")) == (1, len(both[1].readings))


def test_an_archive_is_compared_as_its_run(tmp_path: Path, path: Path) -> None:
    mine, other = made(tmp_path / "runs", "mine", quality=0.9), made(tmp_path / "runs", seeds=2)
    root, expected = tmp_path / "runs", compare.compare_runs(mine, other)
    assert compare.compared(*archived.sides(root, "mine", path)) == expected
    archive.save(mine, tmp_path / "mine.parquet")
    assert compare.compared(*archived.sides(root, tmp_path / "mine.parquet", path)) == expected
    assert compare.compared(*archived.sides(root, path, "mine")) == compare.compare_runs(other, mine)
    with pytest.raises(UserError, match="not of the inner one"):
        archived.sides(root, "mine", path, "inner")


def test_every_archive_of_merbench_can_stand_on_a_board() -> None:
    paths = archived.files([shipped("experiments") / "results"])
    found = [archived.row_of(each) for each in paths]
    assert len({row.key for row in found}) == len(paths) > 20
    assert all(asdict(row)["by_subject"]["last"] for row in found)
