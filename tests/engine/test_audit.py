"""What an audit looks at, how it is asked, and how it is interrupted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from merbench import processes
from merbench.data import replaced, twins
from merbench.data.prepared import Prepared, join
from merbench.data.protocol import loso
from merbench.engine import audit, witness
from merbench.errors import UserError
from merbench.sample import Clip
from tests.conftest import Cli


def prepared(on: str = "smic", clips: int = 12) -> Prepared:
    rng = np.random.default_rng(len(on))
    listed = tuple(Clip(on, f"{on}/s{index // 3}", str(index)) for index in range(clips))
    arrays: dict[str, NDArray[Any]] = {
        "flow": rng.integers(0, 256, (clips, 3, 28, 28), dtype=np.uint8),
        "times": rng.random((clips, 8)).astype(np.float16),
    }
    return Prepared(on, "published-flow", "few", listed, ("a", "b", "c"), np.arange(clips) % 3, arrays, "relative")


@pytest.mark.parametrize("by", ["garbage", "another subject"])
def test_only_the_held_out_subject_is_replaced_and_all_of_it(by: replaced.By) -> None:
    whole = join((prepared("smic"), prepared("casme2")), "smic+casme2")
    fold = loso(whole.clips)[5]
    assert fold.held_out == "casme2/s1"
    other = replaced.replaced(whole, fold, by)
    assert (other.clips, other.classes) == (whole.clips, whole.classes)
    test, train = list(fold.test), list(fold.train)
    for name in ("flow", "times"):
        before, after = (np.concatenate(list(each.blocks(name))) for each in (whole, other))
        assert before.dtype == after.dtype
        assert np.array_equal(before[train], after[train])
        assert not (before[test] == after[test]).all(axis=tuple(range(1, before.ndim))).any(), name
        if by == "another subject":
            assert np.array_equal(after[test], before[list(loso(whole.clips)[4].test)]), "casme2/s0, the first of those with most clips"
    assert np.array_equal(whole.labels[train], other.labels[train])
    assert other.fingerprint != whole.fingerprint
    if by == "garbage":
        assert (whole.labels[test] != other.labels[test]).all()


def test_a_memory_mapped_file_is_never_written_to(tmp_path: Path) -> None:
    whole = prepared()
    np.save(tmp_path / "flow.npy", whole.arrays["flow"])
    mapped = dataclasses.replace(whole, arrays={"flow": np.load(tmp_path / "flow.npy", mmap_mode="r")})
    before = (tmp_path / "flow.npy").read_bytes()
    other = replaced.replaced(mapped, loso(whole.clips)[0], "garbage")
    assert not np.array_equal(other.arrays["flow"], whole.arrays["flow"])
    assert np.array_equal(mapped.arrays["flow"], whole.arrays["flow"])
    assert (tmp_path / "flow.npy").read_bytes() == before


def test_permuted_labels_stay_among_the_training_clips() -> None:
    whole = prepared(clips=60)
    fold, labels = loso(whole.clips)[2], torch.from_numpy(whole.labels)
    dealt = witness.permuted(labels, fold)
    train, test = list(fold.train), list(fold.test)
    assert torch.equal(dealt[test], labels[test])
    assert torch.equal(dealt[train].sort().values, labels[train].sort().values)
    assert 0.15 < float((dealt[train] == labels[train]).float().mean()) < 0.55


def test_a_clip_under_another_subjects_name_is_found() -> None:
    whole = prepared()
    assert twins.twins(whole) == []
    arrays = {"flow": whole.arrays["flow"].copy()}
    arrays["flow"][10] = np.minimum(arrays["flow"][2].astype(int) + 1, 255)
    assert [(first, second) for first, second, _ in twins.twins(dataclasses.replace(whole, arrays=arrays))] == [("smic/s0/2", "smic/s3/10")]
    arrays["flow"][1] = arrays["flow"][2]  # of one subject: no leak
    assert len(twins.twins(dataclasses.replace(whole, arrays=arrays))) == 2


def test_who_has_most_clips_is_looked_at_and_databases_take_turns() -> None:
    whole = join((prepared("smic", 10), prepared("casme2", 8)), "smic+casme2")
    folds = loso(whole.clips)
    assert [folds[i].held_out for i in audit.chosen(whole, folds, "", 3)] == ["smic/s0", "smic/s1", "casme2/s0"]
    assert [folds[i].held_out for i in audit.chosen(whole, folds, "casme2/s2, smic/s3", 3)] == ["smic/s3", "casme2/s2"]
    assert len(audit.chosen(whole, folds, "all", 3)) == len(audit.chosen(whole, folds, "99", 3)) == 7
    for wrong in ("0", "smic/s9", "-1", "²"):
        with pytest.raises(UserError, match=r"hold out|no fold"):
            audit.chosen(whole, folds, wrong, 3)


def test_an_interrupted_audit_goes_on_where_it_stopped(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("audit", "svm_flow", "--on", "smic", "--folds", "1", "--workers", "1", "--no-preparation")
    honest, trained = processes.each, list[int]()

    def stops(function, items, workers=None):  # type: ignore[no-untyped-def]
        for place, result in honest(function, items, workers):
            trained.append(place)
            yield place, result
            if len(trained) == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(processes, "each", stops)
    assert cli(*words).code == 130
    assert cli(*words, "--out", "a.json").code == 0
    assert len(trained) == 14, "four before, ten after"
    assert not (with_flow / "runs").exists() or not list((with_flow / "runs").rglob("*.json"))
    monkeypatch.setattr(processes, "each", honest)
    assert cli(*words, "--out", "b.json").code == 0
    assert json.loads(Path("a.json").read_text()) == json.loads(Path("b.json").read_text())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--on", "smic,casme2"), "one set of data"),
        (("--folds", "smic/s77"), "no fold that holds 'smic/s77' out"),
        (("--on", "smic", "--out", "no/such/folder.json"), "cannot be written"),
        (("--scheme", "megc4"), "no scheme"),
    ],
)
def test_what_is_asked_wrongly_is_told(with_flow: Path, cli: Cli, words: tuple[str, ...], told: str) -> None:
    answer = cli("audit", "prior", "--workers", "1", "--no-preparation", *words)
    assert answer.code == 2
    assert told in answer.err
    assert "do: " in answer.err
