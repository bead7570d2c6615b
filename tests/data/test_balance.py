"""Balanced epochs: every class as often as the largest, fairly, and the same number of steps in every fold."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merbench.batch import Batch, Inputs
from merbench.config import Training
from merbench.data import protocol
from merbench.data.datamodule import LosoDataModule, check_batch, counters, epoch_sizes, repetitions, steps_per_epoch, training_clips
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.errors import UserError
from merbench.sample import Clip

BALANCED = Training(balance=True)


def prepared(labels: list[list[int]]) -> Prepared:
    """Return clips of subjects with these labels."""
    clips = tuple(Clip("smic", f"smic/{s}", str(c)) for s, each in enumerate(labels) for c in range(len(each)))
    flat = np.array([label for each in labels for label in each], dtype=np.int64)
    return Prepared("smic", "x", "megc3", clips, ("a", "b", "c"), flat, {}, "relative")


def module(data: Prepared, fold: int, batch: int = 7, training: Training = BALANCED, key: int = 1) -> LosoDataModule:
    folds = protocol.loso(data.clips)
    resident = training_clips(serve(data, Inputs()), folds[fold])
    return LosoDataModule(resident, steps_per_epoch(folds, batch, data.labels), training, key)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=2, max_size=5), st.integers(4, 12), st.integers(0, 3))
def test_every_class_is_as_large_as_the_largest(labels: list[list[int]], batch: int, epoch: int) -> None:
    data = prepared(labels)
    folds = protocol.loso(data.clips)
    try:
        check_batch(folds, batch, data.labels)
    except UserError:
        return
    sizes, steps = epoch_sizes(folds, data.labels), set()
    for index, fold in enumerate(folds):
        batches = list(module(data, index, batch).batches(epoch))
        steps.add(len(batches))
        assert 1 <= min(len(each["clip"]) for each in batches) <= max(len(each["clip"]) for each in batches) <= batch
        served = Counter(clip for each in batches for clip in each["clip"].tolist())
        assert set(served) == set(fold.train), "everybody's clips but those of who is held out, each at least once"
        counts = Counter(data.labels[list(fold.train)].tolist())
        largest = max(counts.values())
        assert served.total() == sizes[index] == largest * len(counts)
        for clip, times in served.items():
            share = largest / counts[int(data.labels[clip])]
            assert times in (int(share), -int(-share // 1)), "floor or ceil of its share"
        for label, count in counts.items():
            assert sum(times for clip, times in served.items() if data.labels[clip] == label) == largest, (label, count)
        assert all(torch.equal(each["label"], torch.from_numpy(data.labels)[each["clip"]]) for each in batches)
    assert steps == {-(-max(sizes) // batch)}, "of the largest fold, in every fold"


def test_who_is_repeated_once_more_is_drawn_by_epoch_and_fold() -> None:
    data = prepared([[0] * 5 + [1] * 3, [0] * 5 + [1] * 4, [2] * 3])
    drawn = {tuple(sorted(module(data, 2, key=key).order(epoch).tolist())) for key in (1, 2) for epoch in range(5)}
    assert len(drawn) > 5
    again = module(data, 2)
    torch.manual_seed(1)
    assert torch.equal(again.order(3), module(data, 2).order(3)), "from no global state"
    times = torch.stack([repetitions(key, again.resident["clip"], again.resident["label"]) for key in range(400)]).double()
    small = times[:, again.resident["label"] == 1].mean(0)
    assert torch.allclose(small, torch.full_like(small, 10 / 7), atol=0.1), "nobody is preferred"


def test_a_repetition_is_augmented_by_a_draw_of_its_own() -> None:
    clips, positions = torch.tensor([4, 9, 11]), torch.tensor([2, 0, 2, 1, 2, 0])
    assert counters(clips, positions).tolist() == [11, 4, 11 + 2**32, 9, 11 + 2**33, 4 + 2**32]
    assert torch.equal(counters(clips, torch.tensor([2, 0, 1])), torch.tensor([11, 4, 9])), "as it was where nothing is repeated"
    resident: Batch = {
        "onset": torch.rand(12, 1, 8, 8),
        "label": torch.tensor([0] * 11 + [1]),
        "clip": torch.arange(12),
    }
    (batch,) = LosoDataModule(resident, 1, Training(balance=True, rotate=90), 1).batches(0)
    ones = batch["onset"][batch["label"] == 1]
    assert len(ones) == 11
    assert len({tuple(each.flatten().tolist()) for each in ones}) > 3


def test_by_class_has_repetitions_side_by_side() -> None:
    data = prepared([[0, 0, 1], [0, 0, 2]])
    order = module(data, 1, training=Training(balance=True, order="by-class")).order(0)
    assert order.tolist() == [0, 1, 2, 2]


def test_a_balanced_batch_too_small_is_refused_with_one_that_works() -> None:
    data = prepared([[0] * 40 + [1], [2], [0]])
    folds = protocol.loso(data.clips)
    assert epoch_sizes(folds, data.labels) == [2, 82, 120], "of each fold, the classes it has times its largest"
    with pytest.raises(UserError, match="an epoch has 12 steps, and the smallest fold has 2 clips") as caught:
        check_batch(folds, 10, data.labels)
    works = int(caught.value.remedy.split("=")[1].split()[0])
    check_batch(folds, works, data.labels)
    with pytest.raises(UserError):
        check_batch(folds, works - 1, data.labels)
