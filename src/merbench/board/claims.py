"""What a claimed score may be: every quantity that papers print as UF1 or UAR, from the same predictions.

STSTNet's printed UAR is macro precision (its log says so to four digits), CapsuleNet's authors speak of a mean over subjects, Off-TANet
averages folds. Who knows which number was printed knows what it can be compared with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.board.joined import Table

SAME = 1e-9
"""Apart, two quantities are one."""

MOST_PLACES = 6
"""Of a printed score that are compared; a program may write sixteen."""

NUMBER = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,20}))?\s*%?")


@dataclass(frozen=True)
class Claim:
    """A claimed score beside what is computed.

    Attributes:
        score: ``UF1`` or ``UAR``.
        printed: as it was written.
        value: in 0 to 1.
        source: who claims it.
        computed: the pooled score itself.
        equals: names of the quantities that are the claimed number at its precision.
        nearest: the name of the nearest one, and its value.
    """

    score: str
    printed: str
    value: float
    source: str
    computed: float
    equals: tuple[str, ...]
    nearest: tuple[str, float]

    @property
    def holds(self) -> bool:
        """Return whether the claimed number is the pooled score."""
        return f"pooled {self.score}" in self.equals


def quantities(tables: Sequence[Table], taken: NDArray[np.int64], classes: int) -> dict[str, float]:
    """Return everything that one set of predictions gives under the names UF1 and UAR, means over seeds; NaN where it has no value.

    Args:
        tables: one a seed.
        taken: (seeds, N), the predictions that are read.
        classes: C.
    """
    first = tables[0]
    each = [_of_one(first, row, classes) for row in taken]
    found = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    if len(first.predicted) > 1:
        for reading in ("oracle-subject", "oracle-epoch"):
            rows = np.stack([scores.read(reading, t.predicted, t.truth, t.subjects, classes) for t in tables])
            matrices = scores.confusion(first.truth, rows, classes)
            found |= {f"{reading} UF1": float(scores.uf1(matrices).mean()), f"{reading} UAR": float(scores.uar(matrices).mean())}
    return found


def _of_one(table: Table, predicted: NDArray[np.int64], classes: int) -> dict[str, float]:
    matrix = scores.confusion(table.truth, predicted, classes)
    by_subject, by_database = (_by(groups, table.truth, predicted, classes) for groups in (table.subjects, table.databases))
    share = matrix.sum(1) / matrix.sum()
    precision = scores.recall(matrix.T)
    found = {
        "pooled UF1": scores.uf1(matrix),
        "pooled UAR": scores.uar(matrix),
        "accuracy (WAR, micro F1)": scores.accuracy(matrix),
        "macro precision": precision.mean(),
        "macro precision, a class never predicted counts 0": scores.recall(matrix.T, absent=0.0).mean(),
        "weighted F1": (share * np.nan_to_num(scores.f1(matrix))).sum(),
        "weighted precision": (share * np.nan_to_num(precision)).sum(),
        "F1 of macro precision and UAR": _harmonic(float(precision.mean()), float(scores.uar(matrix))),
        "UF1, classes that never occur left out": _present(scores.f1(matrix)),
        "UAR, classes without clips left out": _present(scores.recall(matrix)),
        "mean over subjects of accuracy": scores.accuracy(by_subject).mean(),
    }
    for name, score in (("UF1", scores.f1), ("UAR", scores.recall)):
        found |= {
            f"mean over databases of {name}": score(by_database).mean(-1).mean(),
            f"mean over subjects of {name}, absent class 1": score(by_subject, absent=1.0).mean(),
            f"mean over subjects of {name}, present classes": np.mean([_present(row) for row in score(by_subject)]),
            f"mean over subjects of {name}, absent class 0": score(by_subject, absent=0.0).mean(),
        }
    for database, part in zip(np.unique(table.databases).tolist(), by_database, strict=True):
        found |= (
            {f"UF1 of {database} alone": scores.uf1(part), f"UAR of {database} alone": scores.uar(part)} if len(by_database) > 1 else {}
        )
    return {name: float(value) for name, value in found.items()}


def _by(groups: NDArray[np.str_], truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return a matrix a group, in sorted order."""
    return np.stack([scores.confusion(truth[groups == name], predicted[groups == name], classes) for name in np.unique(groups)])


def _harmonic(one: float, two: float) -> float:
    return 2 * one * two / (one + two) if one + two else 0.0


def _present(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def parse(printed: str) -> tuple[float, int]:
    """Return a printed score between 0 and 1, and how many places of it are known: ``76.05`` and ``0.7605`` are 0.7605 with four.

    Raises:
        ValueError: it is no score.
    """
    found = NUMBER.fullmatch(printed.strip())
    if found is None:
        raise ValueError(f"'{printed[:20]}' is no score; it lies between 0 and 1, or is a percentage")
    value, places = float(found[0].rstrip("% ")), min(len(found[2] or ""), MOST_PLACES)
    if value > 1 or found[0].endswith("%"):
        value, places = value / 100, places + 2
    if value > 1:
        raise ValueError(f"'{printed[:20]}' is more than 100 %")
    return value, places


def claim(score: str, printed: str, source: str, known: dict[str, float]) -> Claim:
    """Return a claimed score beside the quantities that it may be.

    A number is equal where it is the quantity rounded, or cut off, to as many places as are printed.

    Raises:
        ValueError: it is no score.
    """
    value, places = parse(printed)
    own = f"pooled {score}"
    there: dict[str, float] = {}
    for name in (own, *known):  # one number under two names, such as that of a single database, is told once
        if not np.isnan(known[name]) and not any(abs(known[name] - number) < SAME for number in there.values()):
            there[name] = known[name]
    equals = [name for name, number in there.items() if -0.5 - SAME <= (number - value) * 10**places < 1 - SAME]
    nearest = min(there, key=lambda name: abs(there[name] - value), default="")
    return Claim(
        score,
        printed.strip(),
        value,
        source,
        known[own],
        tuple(sorted(equals, key=lambda name: (name != own, abs(there[name] - value)))),
        (nearest, there.get(nearest, float("nan"))),
    )
