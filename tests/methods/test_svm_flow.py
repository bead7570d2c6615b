"""The support vector machine on flow: scikit-learn's own, its mirror images, and classes that nobody has shown it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from merbench.methods.svm_flow import SVMFlow


def clips(count: int, seed: int) -> Any:
    """Return flow that is noise, stronger in other rows for other classes, and much larger in v than in u."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 5 % 3
    flow = torch.randn(count, 3, 28, 28, generator=generator) * torch.tensor([1.0, 50.0, 1.0]).view(3, 1, 1)
    for index, row in enumerate(label.tolist()):
        flow[index, :, 9 * row : 9 * row + 9] *= 1.5
        flow[index, 0, 9 * row : 9 * row + 9, 14:] += 0.4
    return {"flow": flow, "label": label, "clip": torch.arange(count)}


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("mirrored", [True, False])
def test_it_is_scikit_learns_machine(mirrored: bool, balanced: bool) -> None:
    """A radial kernel over standardised values; a mirrored face has its columns reversed and u negated, and both judgements are added."""
    known, new = clips(25, 0), clips(6, 1)

    def reflected(flow: Any) -> Any:
        other = flow[..., ::-1].copy()
        other[:, 0] *= -1
        return other

    learnt, labels, judged = known["flow"].double().numpy(), known["label"].numpy(), [new["flow"].double().numpy()]
    if mirrored:
        learnt, labels = np.concatenate([learnt, reflected(learnt)]), np.concatenate([labels, labels])
        judged.append(reflected(judged[0]))
    scaler = StandardScaler().fit(learnt.reshape(len(learnt), -1))
    machine = SVC(C=0.3, gamma="scale", class_weight="balanced" if balanced else None)
    machine.fit(scaler.transform(learnt.reshape(len(learnt), -1)), labels)
    expected = sum(machine.decision_function(scaler.transform(each.reshape(len(each), -1))) for each in judged)
    method = SVMFlow(3, c=0.3, mirrored=mirrored, balanced=balanced)
    method.fit(known)
    assert method.logits(new).numpy() == pytest.approx(expected, abs=1e-6)


def test_where_all_clips_have_one_class_it_says_that_class() -> None:
    known = clips(10, 0)
    known["label"] = torch.full((10,), 2)
    method, again = SVMFlow(3), SVMFlow(3)
    method.fit(known)
    again.set_extra_state(method.get_extra_state())
    for each in (method, again):
        assert each.logits(clips(4, 1)).argmax(dim=1).tolist() == [2] * 4


def test_a_class_that_it_has_not_seen_comes_last_and_two_classes_keep_their_order() -> None:
    """Of two classes scikit-learn gives one column, for the second."""
    known = clips(24, 0)
    known["label"] = known["label"] % 2 * 2  # 0 and 2 alone
    method = SVMFlow(3)
    method.fit(known)
    logits = method.logits(known)
    assert torch.equal(logits.argmax(dim=1), known["label"])
    assert (logits[:, 1] < logits[:, [0, 2]].amin(dim=1)).all()


@pytest.mark.parametrize("c", [0.0, -1.0])
def test_a_penalty_that_is_none_is_refused(c: float) -> None:
    with pytest.raises(ValueError, match="not above 0"):
        SVMFlow(3, c=c)
