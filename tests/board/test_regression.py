"""Moved scores are refused: each fault that a change may plant is seen, and what moves nothing is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, recall_score

from merbench import scores
from merbench.board import archive, machine, regression, rescoring, spread
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
    verdict = rescoring.rescored(path, "one")
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
    assert rescoring.rescored(path, "one").moved


def test_a_part_or_an_average_that_is_no_longer_counted_has_moved(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scores.averages
    monkeypatch.setattr(scores, "averages", lambda *words: {"pooled": whole(*words)["pooled"], "another": 0.5})
    told = rescoring.rescored(path, "one").moved
    assert [line for line in told if line.endswith(", now none")]
    assert [line for line in told if line.startswith("another: none, now 0.5")]


def test_a_flipped_label_map_is_seen_in_committed_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = schemes.scheme("megc3-mini")
    run = make_run(tmp_path / "runs")
    archive.save(run, tmp_path / "one.parquet")
    made = archive.read(tmp_path / "one.parquet")
    clips = tuple(sorted(listed.labels))
    truth = np.array([listed.labels[clip] for clip in clips])
    request = made.request.replace("'on': smic+casme2", "'on': 3db")
    real = replace(made, clips=clips, truth=truth, row={**made.row, "scheme": listed.name}, request=request)
    assert rescoring._relabelled(real) == []
    flipped = {clip: {0: 1, 1: 0}.get(label, label) for clip, label in listed.labels.items()}
    monkeypatch.setattr(schemes, "scheme", lambda _: replace(listed, labels=flipped))
    (found,) = rescoring._relabelled(real)
    assert f"{sum(label < 2 for label in truth)} clips have another class in megc3-mini" in found


def test_every_bit_counts_on_the_same_machine_and_seeds_decide_elsewhere(kept: Archive) -> None:
    shifted = kept.probabilities.copy()
    shifted[0, 0] = shifted[0, 0, ::-1] * 0.5 + shifted[0, 0] * 0.5
    now = replace(kept, probabilities=shifted)
    (moved,) = regression.compared("one", kept, now).moved
    assert "not bit for bit the same: 1 of 180" in moved
    elsewhere = regression.compared("one", kept, now, "processor a there, b here")
    assert elsewhere.moved == ()
    assert "processor a there" in elsewhere.told


def _another_seed(kept: Archive, rng: np.random.Generator, seeds: int) -> Archive:
    """Return as many seeds as they might be: every subject has a network of its own in each, which errs in its own way and is more or less sure."""
    subjects = np.array([clip.rsplit("/", 1)[0] for clip in kept.clips])
    logits = np.zeros((seeds, *kept.probabilities.shape[1:]))
    for each in np.unique(subjects):
        here = np.flatnonzero(subjects == each)
        bias, sure = rng.normal(0, 1, (seeds, 1, 3)), rng.uniform(0.5, 2, (seeds, 1, 1))
        logits[:, here] = sure * (bias + rng.normal(0, 0.5, (seeds, len(here), 3)) + 1.5 * np.eye(3)[kept.truth[here]])
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return replace(kept, seeds=tuple(range(seeds)), probabilities=chances.astype(np.float32))


@pytest.mark.parametrize("seeds", [2, 3])
def test_two_seeds_know_what_hundreds_would_say(kept: Archive, seeds: int) -> None:
    """The standard deviation of two numbers is nearly always too small or too large; that of seeds exchanged fold by fold is the true one."""
    rng = np.random.default_rng(1)
    many = spread.counted(_another_seed(kept, rng, 400))
    tolerances = [spread.allowed(_another_seed(kept, rng, seeds)) for _ in range(20)]
    for what, values in many.items():
        true = 3 * float(np.std(values)) * np.sqrt(2 / seeds)
        told = [each[what] for each in tolerances]
        assert np.mean(told) == pytest.approx(true, rel=0.15), what
        assert max(told) < 2.5 * true, what
        assert min(told) > true / 2.5, what


def test_another_learning_rate_is_seen_though_every_class_is_the_same(kept: Archive) -> None:
    """Surer by the same order: no prediction is of another class, on any machine the confidence tells."""
    sharper = kept.probabilities.astype(np.float64) ** 3
    surer = replace(kept, probabilities=(sharper / sharper.sum(-1, keepdims=True)).astype(np.float32))
    assert (surer.predicted == kept.predicted).all()
    moved = regression.compared("one", kept, surer, "other versions").moved
    assert [line.partition(" 0")[0] for line in moved] == ["confidence"] or "log loss" in moved[0]
    assert any(line.startswith("confidence ") for line in moved)


def test_what_is_counted_is_what_others_count(kept: Archive) -> None:
    told = spread.counted(kept)
    for seed, chances in enumerate(kept.probabilities.astype(np.float64)):
        assert told["UF1"][seed] == pytest.approx(f1_score(kept.truth, chances.argmax(-1), average="macro"))
        assert told["UAR"][seed] == pytest.approx(recall_score(kept.truth, chances.argmax(-1), average="macro"))
        assert told["log loss"][seed] == pytest.approx(log_loss(kept.truth, chances / chances.sum(-1, keepdims=True)), abs=1e-5)
        assert told["confidence"][seed] == pytest.approx(np.mean([max(each) for each in chances]))
        each = f1_score(kept.truth, chances.argmax(-1), average=None)
        assert [told[f"F1 of {name}"][seed] for name in kept.classes] == pytest.approx(each.tolist())


def test_one_seed_says_nothing_of_seeds_and_two_clips_may_change_sides(kept: Archive) -> None:
    one = replace(kept, seeds=(0,), probabilities=kept.probabilities[:1])
    rarest = int(np.bincount(kept.truth).min())
    told = spread.allowed(one)
    assert (told["UF1"], told["UAR"], told["F1 of negative"]) == pytest.approx((2 / rarest / 3, 2 / rarest / 3, 2 / rarest))
    assert told["log loss"] == told["confidence"] == spread.LEAST


def test_fewer_seeds_or_clips_are_told_anywhere(kept: Archive) -> None:
    fewer = replace(kept, seeds=kept.seeds[:2], probabilities=kept.probabilities[:2])
    for unlike in ("", "other versions"):
        (moved,) = regression.compared("one", kept, fewer, unlike).moved
        assert moved == "seeds are others: 60 clips, 3 classes, seeds 0, 1, 2, now 60 clips, 3 classes, seeds 0, 1"
    short = replace(kept, clips=kept.clips[:59], truth=kept.truth[:59], probabilities=kept.probabilities[:, :59])
    assert "clips are others: 60 clips" in regression.compared("one", kept, short, "other versions").moved[0]


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
        machine.unlike(tmp_path)
    machine.write(tmp_path)
    assert machine.unlike(tmp_path) == ""
    text = (tmp_path / "platform.yaml").read_text()
    (tmp_path / "platform.yaml").write_text(text.replace("torch: ", "torch: 9"[:7]).replace('python: "', 'python: "9'))
    assert "python 9" in machine.unlike(tmp_path)


def test_the_table_escapes_what_it_shows(kept: Archive) -> None:
    verdict = regression.Verdict("a|b", "training", 0.5, 0.4, 0.01, ("x | y",), "told")
    text = regression.markdown([verdict])
    assert "| a\\|b | training | 0.5000 | 0.4000 | 0.010 | **moved**: x \\| y |" in text
    assert text.endswith("told\n")


def test_committed_predictions_score_what_was_committed() -> None:
    archives = sorted(shipped("experiments").rglob("*.parquet"))
    assert archives
    verdicts = [rescoring.rescored(path, path.name) for path in archives]
    assert [verdict for verdict in verdicts if verdict.moved] == []
