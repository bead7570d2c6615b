"""What FRL-DGT shows of its displacement."""

from __future__ import annotations

from typing import Any

import torch

from merbench import methods
from merbench.displacement import median
from merbench.method import METHODS
from tests.contract import batch_for, without_labels

methods.load("frl_dgt")

SMALL: dict[str, Any] = {"size": 32, "widths": (4, 4), "octaves": 2, "dim": 8, "depth": 1, "heads": 2}


def test_its_map_is_how_far_the_face_moves_beyond_the_head() -> None:
    torch.manual_seed(0)
    method: Any = METHODS["frl_dgt"](3, **SMALL).eval()
    batch = without_labels(batch_for(method.inputs, 4))
    with torch.no_grad():
        field, maps = method.outputs(batch)["displacement"], method.maps(batch)
    assert list(maps) == ["displacement"]
    length = (field - median(field)).norm(dim=1)
    assert torch.allclose(maps["displacement"] * length.amax((1, 2), keepdim=True), length, atol=1e-5)
    assert torch.allclose(maps["displacement"].amax((1, 2)), torch.ones(4))


def test_without_a_displacement_there_is_no_map() -> None:
    method: Any = METHODS["frl_dgt"](3, **(SMALL | {"motion": "tvl1"})).eval()
    assert method.maps(without_labels(batch_for(method.inputs, 2))) == {}
