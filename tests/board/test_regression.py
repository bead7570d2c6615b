"""Moved scores are refused: each fault that a change may plant is seen, and what moves nothing is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from merbench import scores
from merbench.board import archive, regression
from merbench.board.archive import Archive
from merbench.config import shipped
from merbench.data import schemes
from merbench.errors import UserError
from tests.board.test_rows import make_run


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    archive.save(make_run(root / "runs", seeds=3, scheme="casme2-5"), root / "one.parquet")
    return root / "one.parquet"


@pytest.fixture(scope="module")
def kept(path: Path) -> Archive:
    return archive.read(path)


def test_what_was_not_touched_has_not_moved(path: Path, kept: Archive) -> None:
    verdict = regression.rescored(path, "one")
    assert (verdict.moved, verdict.now, verdict.allowed) == ((), verdict.before, None)
    verdict = regression.compared("one", kept, kept)
    assert (verdict.moved, verdict.told) == ((), "")


def _fold_mean(matrix: np.ndarray) -> np.ndarray:
    """Return what many papers print: no absent class counts against a method."""
    return np.asarray(np.nanmean(scores.f1(matrix), axis=-1)) * 0.999


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "another average": lambda patch: patch.setattr(scores, "uf1", _fold_mean),
    "rows and columns changed places": lambda patch: patch.setattr(
        scores, "uar", lambda matrix: scores.recall(np.swapaxes(matrix, -1, -2)).mean(-1)
    ),
    "another seed of the interval": lambda patch: patch.setattr(scores.bootstrap, "__defaults__", (scores.uf1, 10_000, 1)),
    "the first epoch for the last": lambda patch: patch.setattr(scores, "read", lambda *_: np.zeros(60, dtype=np.int64)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_scores_is_seen_in_committed_predictions(path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault](monkeypatch)
    assert regression.rescored(path, "one").moved


def test_a_flipped_label_map_is_seen_in_committed_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = schemes.scheme("megc3")
    mini = schemes.scheme("megc3-mini")
    run = make_run(tmp_path / "runs")
    archive.save(run, tmp_path / "one.parquet")
    made = archive.read(tmp_path / "one.parquet")
    clips = tuple(sorted(mini.labels))
    truth = np.array([listed.labels[clip] for clip in clips])
    real = replace(made, clips=clips, truth=truth, row={**made.row, "scheme": "megc3"})
    assert regression._relabelled(real) == []
    flipped = {clip: {0: 1, 1: 0}.get(label, label) for clip, label in listed.labels.items()}
    monkeypatch.setattr(schemes, "scheme", lambda _: replace(listed, labels=flipped))
    (found,) = regression._relabelled(real)
    assert f"{sum(label < 2 for label in truth)} clips have another class in megc3" in found


def test_every_bit_counts_on_the_same_machine_and_seeds_decide_elsewhere(kept: Archive) -> None:
    shifted = kept.probabilities.copy()
    shifted[0, 0] = shifted[0, 0, ::-1] * 0.5 + shifted[0, 0] * 0.5
    now = replace(kept, probabilities=shifted)
    (moved,) = regression.compared("one", kept, now).moved
    assert "not bit for bit the same: 1 of 180" in moved
    elsewhere = regression.compared("one", kept, now, "processor a there, b here")
    assert elsewhere.moved == ()
    assert "processor a there" in elsewhere.told


def test_elsewhere_a_score_may_move_by_what_seeds_move_it(kept: Archive) -> None:
    by_seed = [float(scores.uf1(scores.confusion(kept.truth, each, 3))) for each in kept.predicted]
    expected = 3 * np.std(by_seed, ddof=1) * np.sqrt(2 / 3)
    verdict = regression.compared("one", kept, kept, "other versions")
    assert verdict.allowed == pytest.approx(max(expected, regression.LEAST))
    worse = kept.probabilities.copy()
    worse[:, ::3] = np.roll(worse[:, ::3], 1, axis=-1)
    moved = regression.compared("one", kept, replace(kept, probabilities=worse), "other versions").moved
    assert any(line.startswith("UF1 ") for line in moved)


def test_one_seed_says_nothing_of_seeds() -> None:
    assert regression.allowed([0.7]) == regression.allowed([0.7, 0.7, 0.7]) == regression.LEAST


def test_swapped_classes_are_seen_though_uf1_is_the_same(kept: Archive) -> None:
    swap = np.array([1, 0, 2])
    other = replace(kept, truth=swap[kept.truth], probabilities=kept.probabilities[..., swap])
    assert other.score() == pytest.approx(kept.score())
    moved = regression.compared("one", kept, other, "other versions").moved
    assert any("another true class" in line for line in moved)


def test_another_request_is_named(kept: Archive) -> None:
    changed = replace(kept, request=kept.request.replace("lr: 0.001", "lr: 0.01"))
    assert changed.request != kept.request
    (moved,) = regression.compared("one", kept, changed).moved
    assert "the request is another: now lr: 0.01" in moved
    other = {**kept.provenance, "data": {**kept.provenance["data"], "fingerprint": "f"}}
    assert regression.compared("one", kept, replace(kept, provenance=other)).moved == ("prepared data (faces, flow, labels) are others",)
    assert regression.compared("one", kept, replace(kept, provenance=other), "other versions").moved == ()


def test_what_is_measured_beside_classes_is_held_against_the_baseline(kept: Archive) -> None:
    """A flow with the wrong sign leaves a score as it was."""
    one, two = (replace(kept, row={**kept.row, "measures": {"correlation with TV-L1": value}}) for value in (0.51, -0.51))
    assert regression.compared("one", one, one, "other versions").moved == ()
    assert regression.compared("one", one, two, "other versions").moved == ("correlation with TV-L1: 0.510, now -0.510",)
    assert regression.compared("one", one, kept, "other versions").moved == ("correlation with TV-L1: 0.510, now nan",)


REQUEST = "one: {method: prior, databases: smic, source: published-flow, scheme: megc3, preset: full, seeds: 1}\n"


def test_a_baseline_is_checked(tmp_path: Path) -> None:
    (tmp_path / "requests.yaml").write_text(REQUEST)
    found = regression.requests(tmp_path)
    assert found["one"].method == "prior"
    assert regression.chosen(found, ["one"], tmp_path) == found
    with pytest.raises(UserError, match="no request 'on'"):
        regression.chosen(found, ["on"], tmp_path)
    for text in (
        "",
        "one: 3",
        REQUEST.replace("seeds: 1", "seeds: 0"),
        REQUEST.replace("method: prior, ", ""),
        REQUEST.replace("one:", "../one:"),
        "a: !!python/x {}",
    ):
        (tmp_path / "requests.yaml").write_text(text)
        with pytest.raises(UserError, match="a baseline cannot be read"):
            regression.requests(tmp_path)
    with pytest.raises(UserError, match="a baseline cannot be read"):
        regression.unlike(tmp_path)
    regression.write_platform(tmp_path)
    assert regression.unlike(tmp_path) == ""
    text = (tmp_path / "platform.yaml").read_text()
    (tmp_path / "platform.yaml").write_text(text.replace("torch: ", "torch: 9"[:7]).replace('python: "', 'python: "9'))
    assert "python 9" in regression.unlike(tmp_path)


def test_the_table_escapes_what_it_shows(kept: Archive) -> None:
    verdict = regression.Verdict("a|b", "training", 0.5, 0.4, 0.01, ("x | y",), "told")
    text = regression.markdown([verdict])
    assert "| a\\|b | training | 0.5000 | 0.4000 | 0.010 | **moved**: x \\| y |" in text
    assert text.endswith("told\n")


def test_committed_predictions_score_what_was_committed() -> None:
    archives = sorted(shipped("experiments").rglob("*.parquet"))
    assert archives
    verdicts = [regression.rescored(path, path.name) for path in archives]
    assert [verdict for verdict in verdicts if verdict.moved] == []
