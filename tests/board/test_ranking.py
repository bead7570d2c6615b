"""Places: against the paired test run pair by pair, and against what must not move them."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from merbench import scores
from merbench.board import ranking, render
from merbench.board.compare import taken
from merbench.board.ranking import placed, places
from merbench.board.readings import Score
from merbench.board.rows import Row, row_of
from merbench.board.versions import numbers
from tests.board.test_rows import make_run

SUBJECTS, CLIPS, CLASSES = 14, 6, 3


def made(method: str, right: float, seeds: int = 1, seed: int = 0) -> Row:
    """Return a row of 14 subjects with 6 clips each, of which a share is judged right."""
    rng = np.random.default_rng([seed, *method.encode()])
    truth = np.tile(np.arange(CLIPS) % CLASSES, (SUBJECTS, 1))
    tables = []
    for _ in range(seeds):
        predicted = np.where(rng.random(truth.shape) < right, truth, (truth + rng.integers(1, CLASSES, truth.shape)) % CLASSES)
        tables.append([scores.confusion(t, p, CLASSES) for t, p in zip(truth, predicted, strict=True)])
    return of_tables(method, np.array(tables))


def of_tables(method: str, tables: np.ndarray) -> Row:
    """Return a row with these confusions, (seeds, subjects, C, C)."""
    uf1 = float(scores.uf1(tables.sum(1)).mean())
    last = Score(uf1, 0.5, 0.5, (0.0, 1.0), (0.0, 1.0), {}, 0.3, 0.1, [])
    subjects = {f"smic/s{index:02d}": [[int(n) for n in seed.ravel()] for seed in tables[:, index]] for index in range(tables.shape[1])}
    return Row(
        key=method,
        path=f"smic@frames/loso-megc3/{method}/{method}",
        method=method,
        on="smic",
        source="frames",
        scheme="megc3",
        protocol="loso",
        preset="full",
        annotations="a",
        data="d",
        marks=(),
        clips=84,
        subjects=SUBJECTS,
        seeds=tuple(range(len(tables))),
        missing=0,
        failed=0,
        epochs=1,
        parameters=0,
        seconds=None,
        peak_mib=None,
        classes=("a", "b", "c"),
        readings={"last": last},
        by_subject={"last": subjects},
        digest=f"digest of {method}",
    )


def fixed(p: dict[frozenset[str], float], rows: Sequence[Row]) -> Callable[..., dict[tuple[int, int], float]]:
    """Return what stands for `ranking.compared`: p as told for two methods, else 1."""
    return lambda _, pairs, __: {(a, b): p.get(frozenset((rows[a].method, rows[b].method)), 1.0) for a, b in pairs}


def test_p_is_that_of_the_paired_test(tmp_path: Path) -> None:
    """Also of unlike numbers of seeds, of which all are taken."""
    asked = {"a": (0.3, 1), "b": (0.8, 3), "c": (0.75, 2)}
    runs = [make_run(tmp_path, name, quality=quality, seeds=seeds) for name, (quality, seeds) in asked.items()]
    judged = [ranking._judged(row_of(run), "last") for run in runs]
    found = ranking.compared(judged, list(itertools.combinations(range(3), 2)), 2000)
    read = [taken(run, "last") for run in runs]
    for (a, b), p in found.items():
        (table, first), (_, second) = read[a], read[b]
        assert p == scores.paired_test(table.truth, first, second, table.subjects, table.databases, 3, replicates=2000).p
    assert min(found.values()) < 0.005, "two of 1,024 swaps of ten subjects do as much"
    assert max(found.values()) > 0.05


def test_a_swap_that_leaves_no_score_is_no_evidence() -> None:
    """No clip is of the third class, which each takes one clip for: half of the swaps leave one without a UF1."""
    good, poor = np.zeros((1, SUBJECTS, 3, 3), np.int64), np.zeros((1, SUBJECTS, 3, 3), np.int64)
    good[..., 0, 0] = good[..., 1, 1] = poor[..., 0, 1] = poor[..., 1, 0] = 3
    good[:, 0, 0, :] = poor[:, 1, 0, :] = (2, 0, 1)
    judged = [ranking._judged(of_tables(name, tables), "last") for name, tables in (("good", good), ("poor", poor))]
    assert ranking.compared(judged, [(0, 1)], 1000)[0, 1] > 0.4
    for one in (good, poor):
        one[:, :2, 0, :] = (2, 1, 0)
    judged = [ranking._judged(of_tables(name, tables), "last") for name, tables in (("good", good), ("poor", poor))]
    assert ranking.compared(judged, [(0, 1)], 1000)[0, 1] == 1, "UF1 has no value at all"


def test_places_leave_open_what_noise_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [made(name, right) for name, right in (("a", 0.95), ("b", 0.8), ("c", 0.7), ("d", 0.4))]
    p = {frozenset(pair): 0.001 for pair in ("ad", "bd", "ac")}
    monkeypatch.setattr(ranking, "compared", fixed(p, rows))
    assert places(rows) == [(1, 2), (1, 3), (2, 4), (3, 4)]


def test_holm_counts_all_pairs_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [made(name, right) for name, right in (("a", 0.95), ("b", 0.6), ("c", 0.5))]
    for p, expected in ((0.016, (1, 1)), (0.017, (1, 3))):  # times three pairs: under 0.05, and not
        monkeypatch.setattr(ranking, "compared", fixed({frozenset("ab"): p, frozenset("ac"): p}, rows))
        assert places(rows)[0] == expected
    monkeypatch.setattr(ranking, "compared", fixed({frozenset("ab"): 0.017}, rows[:2]))
    assert places(rows[:2]) == [(1, 1), (2, 2)]


def test_a_clear_order_is_told_and_a_tie_is_none() -> None:
    best, worst = made("best", 0.97), made("worst", 0.35)
    twin = dataclasses.replace(best, method="twin", digest="another")
    assert places([best, twin, worst]) == [(1, 2), (1, 2), (3, 3)]
    assert places([worst, twin, best]) == [(3, 3), (1, 2), (1, 2)], "in whatever order"
    assert places([best]) == [(1, 1)]


def test_every_order_gives_the_same_places_and_they_agree_with_the_scores() -> None:
    rows = [made(f"m{index}", right, seeds=1 + index % 3) for index, right in enumerate((0.3, 0.5, 0.75, 0.9, 0.95))]
    found = dict(zip("01234", places(rows), strict=True))
    for order in ((4, 3, 2, 1, 0), (2, 0, 4, 1, 3)):
        assert dict(zip(map(str, order), places([rows[index] for index in order]), strict=True)) == found
    assert all(1 <= first <= last <= 5 for first, last in found.values())
    ranked = sorted(range(5), key=lambda index: -rows[index].readings["last"].uf1)
    firsts = [found[str(index)][0] for index in ranked]
    assert firsts == sorted(firsts)
    assert found["0"][0] > found["4"][1], "the worst stands behind the best for certain"


def test_so_many_rows_that_ten_thousand_swaps_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """528 pairs times the smallest p of 10,000 swaps are more than 0.05: nothing could ever be better than anything."""
    rows = [made(f"m{index}", 0.5) for index in range(33)]
    asked = []

    def none_is_better(_: object, pairs: Sequence[tuple[int, int]], replicates: int) -> dict[tuple[int, int], float]:
        asked.append(replicates)
        return dict.fromkeys(pairs, 1.0)

    monkeypatch.setattr(ranking, "compared", none_is_better)
    for many in (33, 32, 22, 20):
        places(rows[:many])
    assert len(rows) * 16 / (1 + asked[0]) < ranking.ALPHA
    assert asked == [40_000, 20_000, 10_000, 10_000], "in leaps: with each number of swaps every pair is tested anew"
    assert [ranking.replicates_for(pairs) for pairs in (0, 1, 250, 251)] == [10_000, 10_000, 10_000, 20_000]


def test_more_swaps_than_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = [ranking._judged(made("a", 0.8), "last"), ranking._judged(made("b", 0.7), "last")]
    whole = ranking.compared(judged, [(0, 1)], 1000)
    monkeypatch.setattr(ranking, "CHUNK", 300)
    assert ranking.compared(judged, [(0, 1)], 1000) == whole


def test_rows_that_do_not_judge_the_same_clips_cannot_be_told_apart() -> None:
    good, poor = made("good", 0.97), made("poor", 0.35)
    fewer = dataclasses.replace(poor, by_subject={"last": dict(list(poor.by_subject["last"].items())[1:])})
    other = dataclasses.replace(poor, by_subject={"last": {name: [[2, 0, 0, 0, 3, 0, 1, 0, 0]] for name in poor.by_subject["last"]}})
    assert places([good, poor]) == [(1, 1), (2, 2)]
    assert places([good, fewer]) == places([good, other]) == [(1, 2), (1, 2)]


def test_a_row_whose_score_has_no_value_has_no_place_and_stands_last() -> None:
    empty = np.zeros((1, SUBJECTS, CLASSES, CLASSES), np.int64)
    empty[..., 0, 0] = 4
    rows = placed([of_tables("none", empty), made("some", 0.9)])
    assert [row.places for row in rows] == [{}, {"last": (1, 1)}]
    ((_, members),) = render.tables(rows)
    assert [row.method for row in members] == ["some", "none"]
    assert "|  | none | - |" in render.markdown(rows)


def test_tables_are_ranked_apart_and_what_has_no_score_is_left() -> None:
    best, worst = made("best", 0.97), made("worst", 0.35)
    hasty = dataclasses.replace(made("hasty", 0.95), preset="quick")
    begun = dataclasses.replace(worst, readings={}, by_subject={})
    assert [row.places.get("last") for row in placed([worst, hasty, best, begun])] == [(2, 2), (1, 1), (1, 1), None]


def test_every_reading_that_is_ranked_is_ranked_by_itself(tmp_path: Path) -> None:
    good, poor = made("good", 0.97), made("poor", 0.35)
    changed = [
        dataclasses.replace(
            one,
            readings={**one.readings, "inner": other.readings["last"]},
            by_subject={**one.by_subject, "inner": other.by_subject["last"]},
        )
        for one, other in ((good, poor), (poor, good), (made("twin", 0.96), made("of twin", 0.96)))
    ]
    asked = [*changed, made("without", 0.95)]
    rows = placed(asked, tmp_path)
    assert placed(asked, tmp_path) == rows, "nor is what was tested by one reading taken for the other"
    assert [row.places.get("inner") for row in rows] == [(3, 3), (1, 2), (1, 2), None]
    assert [row.places["last"] for row in rows] == [(1, 3), (4, 4), (1, 3), (1, 3)]
    text = render.markdown(rows, "inner")
    assert "| 3 | good |" in text
    assert "| 1-2 | poor |" in text
    assert "|  | without | not run |" in text


def test_what_was_tested_is_not_tested_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [made(name, right) for name, right in (("a", 0.95), ("b", 0.6), ("c", 0.3))]
    first = placed(rows, tmp_path)
    path = tmp_path / ranking.FILE
    good, compared, asked = path.read_text(), ranking.compared, []

    def counted(judged: Sequence[ranking.Judged], pairs: Sequence[tuple[int, int]], replicates: int) -> dict[tuple[int, int], float]:
        asked.append(len(pairs))
        return compared(judged, pairs, replicates)

    monkeypatch.setattr(ranking, "compared", counted)
    assert placed(rows[::-1], tmp_path) == first[::-1]
    assert asked == [0]
    placed([*rows, made("d", 0.5)], tmp_path)
    assert asked == [0, 3], "a further row is compared with the others only"
    placed(rows[:2], tmp_path)
    assert len(json.loads(path.read_text())["pairs"]) == 1, "rows that are gone are forgotten"
    placed([rows[0], dataclasses.replace(rows[1], digest="changed")], tmp_path)
    assert asked == [0, 3, 0, 1], "other files, another test"
    damages = (
        "",
        "[",
        "{}",
        "[" * 100_000,
        good[:-9],
        good.replace("0.", "0.9", 1),
        good.replace('"pairs"', '"pears"'),
        '{"pairs": {"x": NaN}}',
    )
    for damage in damages:
        assert damage != good
        path.write_text(damage)
        assert placed(rows, tmp_path) == first
        assert asked[-1] == 3, damage[:40]
        assert path.read_text() == good


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ranking.FILE).mkdir()
    rows = [made("a", 0.95), made("b", 0.3)]
    assert [row.places["last"] for row in placed(rows, tmp_path)] == [(1, 1), (2, 2)]
    assert [row.places["last"] for row in placed(rows, tmp_path / "not" / "there")] == [(1, 1), (2, 2)]
    assert [path.name for path in tmp_path.iterdir()] == [ranking.FILE], "nothing unfinished stays"


def test_places_stand_in_every_text(tmp_path: Path) -> None:
    rows = placed([made("a", 0.95), made("b", 0.94), made("c", 0.3)])
    assert [row.places["last"] for row in rows] == [(1, 2), (1, 2), (3, 3)]
    text = render.markdown(rows)
    assert "| 1-2 | a |" in text
    assert "| 3 | c |" in text
    assert [row["places"]["last"] for row in json.loads(render.as_json(rows))] == [[1, 2], [1, 2], [3, 3]]
    assert "by_subject" not in render.as_json(rows)
    assert ",last,True,1,2," in render.as_csv(rows)


def test_what_a_later_version_supersedes_is_in_no_pair(tmp_path: Path) -> None:
    """Of two versions of one method one is corrected: they were two rows that looked alike, and made the test of all others harder."""
    runs = [
        make_run(tmp_path, name, quality=quality, version=version)
        for name, quality, version in (("a", 0.9, 1), ("a", 0.7, 2), ("b", 0.2, 1))
    ]
    first, second, other = placed([row_of(run) for run in runs], tmp_path)
    assert (first.superseded, second.superseded, other.superseded) == (True, False, False)
    assert first.places == {}
    assert len(json.loads((tmp_path / ranking.FILE).read_text())["pairs"]) == 1
    ((_, members),) = render.tables([first, second, other])
    assert [row.method for row in members] == ["a", "b", "a (superseded: version 1.1)"], (
        "below what is ranked, though its UF1 is the highest"
    )
    assert "|  | a (superseded: version 1.1) |" in render.markdown([first, second, other]), "without a place"
    told = [row for row in csv.DictReader(io.StringIO(render.as_csv([first, second, other]))) if row["reading"] == "last"]
    assert [row["rankable"] for row in told] == ["False", "True", "True"]
    assert [row["marks"].endswith("; superseded") for row in told] == [True, False, False]


def test_a_later_version_without_a_whole_seed_supersedes_nothing(tmp_path: Path) -> None:
    older, newer = make_run(tmp_path, "a"), make_run(tmp_path, "a", version=2)
    next((newer.path / "folds").iterdir()).unlink()
    assert not any(row.superseded for row in placed([row_of(older), row_of(newer)]))


def test_another_file_of_the_same_name_supersedes_by_its_own_version_only() -> None:
    """Two files are two methods: under a later engine one was trained anew, and the other was not."""
    older = dataclasses.replace(made("mine", 0.6), versions=(1, 1), sources=("a", ""))
    for versions, sources, expected in (
        ((1, 2), ("b", ""), False),
        ((1, 2), ("a", "macro"), False),
        ((1, 2), ("a", ""), True),
        ((2, 1), ("b", ""), True),
        (numbers({"method": 1, "engine": 1, "serving": 2}), ("a", ""), True),
        (numbers({"method": 1, "engine": 1}), ("a", ""), False),
    ):
        newer = dataclasses.replace(made("mine", 0.7), versions=versions, sources=sources)
        assert [row.superseded for row in placed([older, newer])] == [expected, False]
