"""What a file of predictions holds, whatever its form: columns of cells, and which of them is what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Cell = str | int | float

SPELLINGS: dict[str, tuple[str, ...]] = {
    "database": ("database", "dataset", "datasetname", "databasename", "db", "corpus"),
    "subject": ("subject", "sub", "subj", "subjectid", "subid", "subjectname", "subname", "person", "personid", "participant", "heldout"),
    "clip": (
        *("clip", "clipname", "clipid", "clipkey", "key", "sample", "sampleid", "samplename", "video", "videoname", "videoid"),
        *("filename", "filenameo", "file", "imagename", "image", "path"),
    ),
    "truth": (
        *("truth", "groundtruth", "gt", "ytrue", "true", "truelabel", "trueclass", "target", "targets", "actual", "label", "labels"),
        *("reference", "emotion", "class"),
    ),
    "predicted": (
        *("predicted", "pred", "prediction", "predictions", "preds", "ypred", "predictedlabel", "predlabel", "predictedclass", "predclass"),
        *("predict", "yhat", "output", "hypothesis"),
    ),
    "epoch": ("epoch", "epochs", "epochnumber"),
    "seed": ("seed", "seedindex", "repeat"),
}
"""How each column is called in public code, in lower case without signs; the first that a file has is taken."""

PROBABILITY = re.compile(
    r"(?:p|probs?|proba|probability|probabilities|logits?|scores?|softmax|conf|confidence)(?:[ _.:-]+(?=\w)|(?=[0-9]))(.+)", re.IGNORECASE
)
"""Of a column with one class's probability or logit: ``p_negative``, ``prob_0``, ``logit.surprise``, ``p0``."""

VECTORS = ("probabilities", "probability", "probs", "prob", "proba", "logits", "logit", "scores", "softmax", "p")
"""Columns whose cells are lists, a number a class."""

MOST_CLASSES = 50


@dataclass(frozen=True)
class Columns:
    """A file's content before any of it is understood.

    Attributes:
        form: what it is, in words.
        cells: column to cells, as many in each; columns are called as the file calls them.
        stated: scores that the file itself states, as printed.
        best: whether the file says that each subject's best epoch was taken.
        notes: what was seen on the way that a reader should know.
    """

    form: str
    cells: Mapping[str, Sequence[Cell]]
    stated: Mapping[str, str] = field(default_factory=dict)
    best: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """Which columns are what.

    Attributes:
        named: role to column, of those that are there.
        classes: class to column of its probability, in the file's order; empty where there are none.
        passed: role to other columns that may be meant too.
    """

    named: Mapping[str, str]
    classes: Mapping[str, str]
    passed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Return whether there are true and predicted classes."""
        return "truth" in self.named and ("predicted" in self.named or len(self.classes) > 1)


def plain(header: str) -> str:
    """Return ``groundtruth`` of ``Ground Truth``."""
    return "".join(sign for sign in header.casefold() if sign.isalnum())[:60]


def roles(headers: Sequence[str]) -> Roles:
    """Return which of a file's columns are what; others are passed over.

    Raises:
        ValueError: two columns are the same, or there are too many classes.
    """
    spelled: dict[str, list[str]] = {}
    for header in headers:
        spelled.setdefault(plain(header), []).append(header)
    named: dict[str, str] = {}
    passed: dict[str, tuple[str, ...]] = {}
    for role, known in SPELLINGS.items():
        found = [spelling for spelling in known if spelling in spelled]
        if found and len(spelled[found[0]]) > 1:
            raise ValueError(f"two columns are called {found[0]}")
        if found:
            named[role] = spelled[found[0]][0]
            passed[role] = tuple(header for spelling in found[1:] for header in spelled[spelling])
    classes: dict[str, str] = {}
    for header in headers:
        found_class = PROBABILITY.fullmatch(header.strip()) if header not in named.values() and len(header) < 100 else None
        if found_class and found_class[1] in classes:
            raise ValueError(f"two columns have the probability of '{found_class[1][:40]}'")
        if found_class:
            classes[found_class[1].strip()] = header
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"{len(classes)} columns of probabilities; {MOST_CLASSES} classes at most are scored")
    return Roles(named, classes, passed)
