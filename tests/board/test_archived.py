"""Archives on the board: what they score is counted again, and who seals a wrong row is found out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merbench.board import archive, archived, beside, compare, ranking, render, rescoring, rows
from merbench.board.pages import html
from merbench.board.readings import averages_of
from merbench.config import parse_request, shipped
from merbench.errors import UserError
from merbench.results import Run, key_of, provenance_of
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
    assert render.as_csv([replace(found, archive="")]) == render.as_csv([there]), "in the same order too"


@pytest.mark.parametrize("kind", [{"epochs": 1}, {"inner": 3}])
def test_there_is_no_inner_reading(tmp_path: Path, kind: dict[str, int]) -> None:
    """What inner trainings chose is not in an archive, and that there was one epoch alone is told by its row alone."""
    run = made(tmp_path / "runs", seeds=2, **kind)  # type: ignore[arg-type]
    archive.save(run, tmp_path / "one.parquet")
    found, there = archived.row_of(tmp_path / "one.parquet"), rows.row_of(run)
    assert set(there.by_subject) == {"last", "inner"}
    assert "inner" not in found.readings
    assert found.by_subject == {"last": there.by_subject["last"]}


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


def test_columns_that_came_later_are_not_missed(path: Path) -> None:
    def older(about: dict[str, Any]) -> None:
        for name in ("versions", "sources", "superseded", "archive", "clip_seconds", "by_subject"):
            del about["row"][name]

    whole = archived.row_of(path)
    resealed(path, older)
    assert replace(archived.row_of(path), digest=whole.digest) == whole


CLAIMS: dict[str, Callable[[dict[str, Any]], object]] = {
    "name and table": lambda about: about["row"].update(method="featref", on="3db", source="frames", preset="quick", data="k1", marks=[]),
    "size": lambda about: about["row"].update(clips=59, subjects=11, seeds=[0, 1, 2], missing=-5, failed=-7, parameters=1),
    "cost": lambda about: about["row"].update(seconds=float("nan"), total_seconds=float("inf"), peak_mib="little", clip_seconds=-1.0),
    "version and place": lambda about: about["row"].update(
        versions=[9, 9], sources=["x"], places={"last": [1, 1]}, superseded=True, path="x"
    ),
    "classes": lambda about: about["row"].update(classes=["surprise", "positive", "negative"]),
    "chance": lambda about: about["row"]["readings"]["last"].update(chance_uf1=0.01, chance_uf1_sd=0.0),
    "judgements by subject": lambda about: about["row"].update(by_subject={"last": {"smic/s0": [[60, 0, 0, 0, 60, 0, 0, 0, 60]]}}),
    "inner reading": lambda about: about["row"]["readings"].update(inner={"uf1": 0.99}),
    "unheard-of reading": lambda about: about["row"]["readings"].update(best={"uf1": 0.99}),
}


@pytest.mark.parametrize("what", CLAIMS)
def test_what_a_row_claims_is_not_taken_from_it(tmp_path: Path, whole: bytes, what: str) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(whole)
    expected = archived.row_of(path)
    resealed(path, CLAIMS[what])
    assert replace(archived.row_of(path), digest=expected.digest) == expected


def oracle(about: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = about["row"]["readings"]["oracle-subject"]
    return told


def of_an_unknown_protocol(about: dict[str, Any]) -> None:
    about["request"] = about["request"].replace("protocol: loso", "protocol: five-folds")
    key = key_of(parse_request(about["request"].encode()), provenance_of(about["provenance"]))
    about["provenance"]["request_key"] = about["row"]["key"] = key


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a better score": (lambda about: about["row"]["readings"]["last"].update(uf1=0.99), "does not hold together: UF1"),
    "a kinder part": (lambda about: about["row"]["readings"]["last"]["parts"].update(smic=[1.0, 1.0, 1.0]), "UF1, UAR, accuracy of smic"),
    "no epochs": (lambda about: about["row"].pop("epochs"), "it lacks 'epochs'"),
    "epochs in words": (lambda about: about["row"].update(epochs="many"), "its row is not what it should be"),
    "another scheme": (lambda about: about["row"].update(scheme="casme2-5"), "its scheme is casme2-5, that of its request objective-5"),
    "another request": (lambda about: about.update(request=about["request"].replace("epochs: 4", "epochs: 5")), "its key is not that"),
    "an unknown protocol": (of_an_unknown_protocol, "its protocol is five-folds, which this version does not know"),
    "a fold less": (lambda about: about["provenance"]["folds"].pop(), "its folds are not those of its clips"),
    "a fold twice": (lambda about: about["provenance"]["folds"].append("smic/s0"), "its folds are not those of its clips"),
    "a person in two folds": (lambda about: about["provenance"]["folds"].append("smic"), "its folds are not those of its clips"),
    "an oracle of words": (lambda about: oracle(about).update(uf1="1"), "'uf1' is not"),
    "an oracle above 1": (lambda about: oracle(about).update(uf1=5.0), "a score of oracle-subject is not one from 0 to 1"),
    "an oracle without end": (lambda about: oracle(about).update(uf1=float("inf")), "'uf1' is not"),
    "a part below 0": (
        lambda about: oracle(about)["parts"].update(smic=[-0.1, 0.0, 0.0]),
        "a score of oracle-subject is not one from 0 to 1",
    ),
    "seconds without end": (
        lambda about: next(iter(about["provenance"]["costs"].values())).update(seconds=1e308),
        "costs or parameters are not",
    ),
    "time given back": (
        lambda about: next(iter(about["provenance"]["costs"].values())).update(seconds=-1.0),
        "costs or parameters are not",
    ),
    "an oracle that lacks something": (lambda about: oracle(about).pop("parts"), "its keys are"),
    "an oracle of other databases": (lambda about: oracle(about)["parts"].pop("smic"), "parts or intervals of oracle-subject"),
    "an oracle with a part of one number": (
        lambda about: oracle(about)["parts"].update(smic=[1.0]),
        "parts or intervals of oracle-subject",
    ),
    "an interval of one end": (lambda about: oracle(about).update(uar_interval=[0.1]), "parts or intervals of oracle-subject"),
    "a ragged confusion": (lambda about: oracle(about).update(confusion=[[1], [2, 3]]), "not what it should be"),
    "a name that clears the screen": (
        lambda about: about["row"]["measures"].update({"error\x1b[2J": 0.1}),
        "signs that cannot be seen",
    ),
    "an assumption that does": (lambda about: about["provenance"]["data"].update(assumed="\x1b[2J"), "signs that cannot be seen"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    content = archive.pack(made(tmp_path_factory.mktemp("whole"), seeds=2))
    path = tmp_path_factory.mktemp("sealed") / "one.parquet"
    path.write_bytes(content)
    resealed(path, lambda about: None)
    archived.row_of(path)
    return content


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_archive_that_is_sealed_anew_is_refused(tmp_path: Path, whole: bytes, what: str) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(whole)
    change, told = WRONG[what]
    resealed(path, change)
    with pytest.raises(UserError, match=told) as refusal:
        archived.row_of(path)
    assert refusal.value.where == str(path)


def of_list(root: Path) -> Path:
    """Return the archive of a real run, whose clips are those of a list."""
    path = root / "svm.parquet"
    path.write_bytes((shipped("experiments") / "results" / "published-flow" / "svm_flow.parquet").read_bytes())
    return path


def rewritten(path: Path, change: Callable[[dict[str, list[Any]]], dict[str, list[Any]]]) -> None:
    """Change the columns of an archive and all that it says of them, and seal it anew."""
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"merbench-archive"])
    columns = change(table.to_pydict())
    kept = {name: pa.array(columns[name], table.schema.field(name).type) for name in table.column_names}
    classes = [name.removeprefix("p_") for name in kept if name.startswith("p_")]
    made_of = np.stack([np.array(columns[f"p_{name}"], np.float32) for name in classes], axis=-1)
    about["columns"] = archive._hash({name: columns[name] for name in ("seed", *archive.NAMES)}, made_of)
    about["provenance"]["clips"] = len(set(columns["clip"]))
    pq.write_table(pa.table(kept).replace_schema_metadata({"merbench-archive": json.dumps(about)}), path)

    def honest(about: dict[str, Any]) -> None:
        now = asdict(rescoring.now_of(archive.read(path)))
        about["row"]["readings"] = {"last": json.loads(json.dumps(now))}
        about["row"]["averages"] = averages_of(archive.read(path).tables, len(classes))

    resealed(path, lambda about: None)
    resealed(path, honest)


def test_an_archive_without_its_hard_clips_is_refused(tmp_path: Path) -> None:
    """Nothing in it contradicts itself: only the list knows what each person's clips are."""

    def easy(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        right = [
            max(zip(row, NAMES, strict=True))[1] == truth
            for *row, truth in zip(*(columns[f"p_{each}"] for each in NAMES), columns["truth"], strict=True)
        ]
        return {name: [value for value, kept in zip(values, right, strict=True) if kept] for name, values in columns.items()}

    path = of_list(tmp_path)
    archived.row_of(path)
    rewritten(path, easy)
    assert archive.read(path).score()[0] == 1.0
    with pytest.raises(UserError, match=r"clips are in smic\+casme2 or in the archive alone: casme2/"):
        archived.row_of(path)


NAMES = ("negative", "positive", "surprise")


def test_an_archive_with_classes_in_another_order_is_refused(tmp_path: Path) -> None:
    path = of_list(tmp_path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"merbench-archive"])
    about["provenance"]["classes"] = list(reversed(NAMES))
    columns = table.to_pydict()
    about["columns"] = archive._hash(
        {name: columns[name] for name in ("seed", *archive.NAMES)},
        np.stack([np.array(columns[f"p_{name}"], np.float32) for name in reversed(NAMES)], axis=-1),
    )
    pq.write_table(table.replace_schema_metadata({"merbench-archive": json.dumps(about)}), path)
    resealed(path, lambda about: None)
    with pytest.raises(UserError, match="its classes are surprise, positive, negative, those of megc3 negative"):
        archived.row_of(path)


def test_rows_of_other_clips_or_classes_are_of_other_tables(path: Path) -> None:
    row = archived.row_of(path)
    assert row.judged
    assert row.table != replace(row, judged="another").table
    rewritten(path, lambda columns: {**columns, "truth": columns["truth"][1:] + columns["truth"][:1]})
    assert archived.row_of(path).asked == row.asked
    assert archived.row_of(path).table != row.table, "no list knows the labels, but they are not those of the run"


def test_clips_that_are_not_those_of_their_scheme_are_refused(tmp_path: Path) -> None:
    archive.save(make_run(tmp_path / "runs"), tmp_path / "one.parquet")
    with pytest.raises(UserError, match="60 clips have another class in megc3"):
        archived.row_of(tmp_path / "one.parquet")


def test_a_score_without_a_value_passes(tmp_path: Path) -> None:
    run = made(tmp_path / "runs")
    archive.save(run, tmp_path / "one.parquet")
    resealed(tmp_path / "one.parquet", lambda about: about["row"]["readings"]["oracle-subject"].update(uf1=float("nan")))
    found = archived.row_of(tmp_path / "one.parquet").readings["oracle-subject"]
    assert found.uf1 != found.uf1


def test_an_archive_replaces_no_run_of_ones_own_by_its_version(tmp_path: Path) -> None:
    old, new = (made(tmp_path / "runs", version=version) for version in (1, 2))
    for name, run in (("old", old), ("new", new)):
        archive.save(run, tmp_path / f"{name}.parquet")
    of_old, of_new = (archived.row_of(tmp_path / f"{name}.parquet") for name in ("old", "new"))
    mine_old, mine_new = rows.row_of(old), rows.row_of(new)
    for both, expected in (
        ((mine_old, of_new), [False, False]),
        ((of_old, mine_new), [True, False]),
        ((of_old, of_new), [True, False]),
        ((mine_old, mine_new), [True, False]),
    ):
        assert [row.superseded for row in ranking.placed(both)] == expected


def test_an_unknown_database_is_told_of_the_archive(tmp_path: Path) -> None:
    path = of_list(tmp_path)
    resealed(path, lambda about: about.update(request=about["request"].replace("'on': smic+casme2", "'on': nowhere")))
    with pytest.raises(UserError, match="there is no database 'nowhere'") as refusal:
        archived.row_of(path)
    assert refusal.value.where == str(path)


def test_a_run_stands_once(tmp_path: Path, path: Path) -> None:
    here, other = rows.row_of(made(tmp_path / "runs", seeds=2)), archived.row_of(path)
    assert archived.joined([here], [other]) == [here]
    assert archived.joined([replace(here, seeds=(0,))], [other]) == [other], "it has more seeds"
    assert archived.joined([], [other, other]) == [other]


def test_files_are_found_below_a_folder_and_folds_are_none(tmp_path: Path, path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "again.parquet").symlink_to(path)
    assert archived.files([path, Path(os.path.relpath(path))]) == [Path(os.path.relpath(path))]
    assert len(archived.files([tmp_path, path])) == 1
    (tmp_path / "circle.parquet").symlink_to(tmp_path / "circle.parquet")
    assert len(archived.files([tmp_path])) == 2, "a circle is told where it is opened"
    with pytest.raises(UserError, match="cannot be read"):
        archived.row_of(tmp_path / "circle.parquet")
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
    assert all(told in text for text in (beside.markdown(both), render.markdown(both, "inner")))
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
    make_run(root, "mine", preset="quick").fold_path("smic--s2--s0").unlink()
    assert compare.compared(*archived.sides(root, path, "mine")) == compare.compare_runs(other, mine), "the one that is finished"
    with pytest.raises(UserError, match="not of the inner one"):
        archived.sides(root, "mine", path, "inner")


def test_every_archive_of_merbench_can_stand_on_a_board() -> None:
    paths = archived.files([shipped("experiments") / "results"])
    found = [archived.row_of(each) for each in paths]
    assert len({row.key for row in found}) == len(paths) > 20
    assert all(asdict(row)["by_subject"]["last"] for row in found)
