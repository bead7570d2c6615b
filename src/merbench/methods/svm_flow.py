"""A support vector machine on the flow image: the simple model that a deep method has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from merbench.batch import Batch, Flow, Inputs
from merbench.data.augment import mirror
from merbench.method import METHODS, Card, ClosedForm


@METHODS.add("svm_flow")
class SVMFlow(ClosedForm):
    """Radial kernel, after standardising each value over the training clips.

    The logits are decision values, one against the rest: their order is the machine's, their size is not calibrated.

    Args:
        classes: number of classes.
        c: penalty of the machine.
        centred: the median of u and of v is removed from each clip: much of what is called method is head motion left in the flow.
        mirrored: mirrored copies join the training clips, and a clip's decision values are those of itself and its mirror image, summed.
        strain: optical strain is read beside u and v.
        balanced: a clip weighs by how few there are of its class.

    Raises:
        ValueError: c is not above 0.
    """

    card = Card(
        title="Support vector machine on optical flow (merbench's own baseline)",
        year=2026,
        paper="scikit-learn SVC (Chang and Lin, LIBSVM, doi 10.1145/1961189.1961199)",
        network="own",
        training="own",
        departures=("There is no paper behind this baseline.",),
    )
    results_version = 2  # 2: a class that no training clip has is valued by the clip alone

    def __init__(
        self, classes: int, c: float = 1.0, centred: bool = True, mirrored: bool = True, strain: bool = True, balanced: bool = True
    ) -> None:
        super().__init__(classes)
        if c <= 0:
            raise ValueError(f"the penalty c is {c}, not above 0")
        self.c, self.mirrored, self.balanced = c, mirrored, balanced
        self.inputs = Inputs(flow=Flow(size=28, strain=strain, stabilisation="median" if centred else "none"))
        self.learnt: dict[str, Tensor] = {}
        self.only: int | None = None
        """The class that all training clips have: there is nothing to part."""

    def fit(self, batch: Batch) -> None:
        """Learn from the training clips and, where ``mirrored``, from their mirror images."""
        features, labels = batch["flow"].flatten(1), batch["label"]
        if self.mirrored:
            features = torch.cat([features, mirror(batch)["flow"].flatten(1)])
            labels = torch.cat([labels, labels])
        self.set_extra_state({"features": features.cpu(), "labels": labels.cpu()})

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) decision values."""
        values = self._decide(batch["flow"])
        if self.mirrored:
            values = values + self._decide(mirror(batch)["flow"])
        return values

    def get_extra_state(self) -> dict[str, Tensor]:
        """Return what was learnt from: the machine is solved again from it, since scikit-learn's own state is no tensor."""
        return self.learnt

    def set_extra_state(self, state: Any) -> None:
        """Solve the machine for these features (M, D) and labels (M,)."""
        from sklearn.pipeline import make_pipeline  # here: scikit-learn takes a second to import
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        self.learnt = state
        self.only = int(state["labels"][0]) if state and len(state["labels"].unique()) == 1 else None
        if state and self.only is None:
            self.machine = make_pipeline(StandardScaler(), SVC(C=self.c, class_weight="balanced" if self.balanced else None))
            self.machine.fit(_doubles(state["features"]), state["labels"].numpy())

    def _decide(self, flow: Tensor) -> Tensor:
        """Return (B, classes) decision values; a class that no training clip has gets the lowest."""
        if self.only is not None:
            return functional.one_hot(torch.full((len(flow),), self.only, device=flow.device), self.classes).double()
        values = self.machine.decision_function(_doubles(flow.flatten(1)))
        known = self.machine.classes_
        if len(known) == 2:  # scikit-learn gives two classes one column
            values = np.stack([-values, values], axis=1)
        full = np.repeat(values.min(axis=1, keepdims=True) - 1.0, self.classes, axis=1)  # of the clip alone, whoever stands beside it
        full[:, known] = values
        return torch.from_numpy(full).to(flow.device)


def _doubles(features: Tensor) -> NDArray[np.float64]:
    return features.detach().cpu().double().numpy()
