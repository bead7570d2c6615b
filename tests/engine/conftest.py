"""A method that is pre-trained on macro clips, and clips of people of whom some stand in both sets."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from merbench.data.prepared import Prepared
from merbench.method import METHODS
from merbench.sample import EMOTIONS, Clip

METHOD = '''
import torch

from merbench.batch import Flow, Inputs
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method, Stage


@METHODS.add("feels_first")
class FeelsFirst(Method):
    """Seven emotions of macro-expressions first, then the classes."""

    card = Card("Feels first", 2026, "none", "reconstruction", "reconstruction", ("all of it",), pretraining=("CAS(ME)^3, macro-expressions",))
    inputs = Inputs(flow=Flow(size=14), macro=True)

    def __init__(self, classes: int, epochs: int = 2, batch: int = 4, emotions: int = 7) -> None:
        super().__init__(classes)
        self.epochs, self.batch = epochs, batch
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * 14 * 14, 8), torch.nn.Tanh(), KeyedDropout(0.2))
        self.felt, self.head = torch.nn.Linear(8, emotions), torch.nn.Linear(8, classes)

    def logits(self, batch):
        return self.head(self.body(batch["flow"]))

    def feel(self, batch):
        return {"logits": self.felt(self.body(batch["flow"]))}

    def stages(self):
        return (Stage("macro", epochs=self.epochs, batch=self.batch, outputs=self.feel, on="macro"), Stage("train"))
'''
BOTH = (
    METHOD.replace('on="macro"', 'on="training+macro", loss=self.certainty')
    + """
    def certainty(self, outputs, batch):
        return {"total": -outputs["logits"].log_softmax(dim=1).amax(dim=1).mean()}
"""
)
"""The same on both sets together, without labels."""
PEOPLE = [f"s{number:02d}" for number in range(91, 96)]
WITHOUT = "smic/s95"
"""Nobody of the macro clips."""


def made(on: str, source: str, clips: list[Clip], classes: tuple[str, ...], seed: int) -> Prepared:
    """Return flow whose upper rows move as far as the class says."""
    labels = np.array([(index * 5 + index // 3) % len(classes) for index in range(len(clips))], dtype=np.int64)
    flow = np.random.default_rng(seed).normal(0, 1, (len(clips), 2, 28, 28))
    flow[:, 0, :14] += labels[:, None, None]
    return Prepared(on, source, "megc3", tuple(clips), classes, labels, {"flow": flow.astype(np.float16)}, "pixels")


@pytest.fixture(scope="module")
def judged() -> Prepared:
    """Five people, 15 clips."""
    clips = [Clip("smic", f"smic/{person}", f"c{index}") for person in PEOPLE for index in range(3)]
    return made("smic", "synthetic", clips, ("negative", "positive", "surprise"), seed=0)


@pytest.fixture(scope="module")
def felt() -> Prepared:
    """Macro clips of four of them, and of another person, under the name of a set that persons.csv knows: 2, 3, 4, 5 and 3 clips."""
    people = [*PEOPLE[:4], "s99"]
    clips = [
        Clip("smic-vis", f"smic-vis/{person}", f"m{index}")
        for person, count in zip(people, (2, 3, 4, 5, 3), strict=True)
        for index in range(count)
    ]
    return dataclasses.replace(made("casme3-macro", "synthetic", clips, EMOTIONS, seed=1), scheme="seven-emotions")


def of(person: str, prepared: Prepared) -> list[int]:
    return [index for index, clip in enumerate(prepared.clips) if clip.subject.split("/")[1] == person.split("/")[1]]


def garbage(prepared: Prepared, person: str) -> Prepared:
    """Replace a person's macro clips and their labels."""
    theirs = of(person, prepared)
    flow, labels = prepared.arrays["flow"].copy(), prepared.labels.copy()
    flow[theirs] = np.random.default_rng(7).uniform(-9, 9, flow[theirs].shape)
    labels[theirs] = (labels[theirs] + 1) % len(EMOTIONS)
    return dataclasses.replace(prepared, arrays={"flow": flow}, labels=labels)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A method in its own file; what it registers is forgotten after the test."""
    path = tmp_path / "feels_first.py"
    path.write_text(METHOD)
    yield path
    if sys.modules.pop("merbench_own_feels_first", None):
        METHODS.remove("feels_first")
