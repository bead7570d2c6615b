"""Which class a cell names: words, numbers, or the largest of a row's probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merbench.board.foreign.columns import MOST_CLASSES, Cell
from merbench.data import manifest, schemes
from merbench.errors import UserError

SHORT = {"neg": "negative", "ne": "negative", "pos": "positive", "po": "positive", "sur": "surprise", "surp": "surprise"}

NAME = re.compile(r"[^\W\d_][\w .&/+-]{0,39}")
WHOLE = re.compile(r"\+?([0-9]{1,6})(?:\.0*)?")
OF_MEGC2019 = "0 negative, 1 positive, 2 surprise"


@dataclass(frozen=True)
class Labels:
    """True and predicted classes of a file's rows.

    Attributes:
        classes: names; their order is the index.
        truth, predicted: (N,) indices.
        assumed: whether numbers were taken in the order of MEGC2019 though nothing in the file says so.
        notes: what was assumed, in words.
    """

    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    assumed: bool
    notes: tuple[str, ...]


def read(
    truth: Sequence[Cell],
    predicted: Sequence[Cell] | None,
    probabilities: Mapping[str, Sequence[Cell]],
    asked: tuple[str, ...] | None,
    megc2019: bool,
) -> Labels:
    """Return the classes of all rows.

    Args:
        truth: (N,) cells.
        predicted: (N,) cells; None where the largest probability is meant.
        probabilities: class to (N,) cells, of probabilities or logits.
        asked: class names that the user gives, in order.
        megc2019: whether all rows are of its three databases, whose numbers have a usual order.

    Raises:
        ValueError: a cell is empty or no class; the row is named, from 1.
    """
    words = _words(truth, "true class")
    guesses = None if predicted is None else _words(predicted, "predicted class")
    columns = {_word(name): cells for name, cells in probabilities.items()}
    classes, assumed, first, note = _classes({*words, *(guesses or ())}, tuple(columns), asked, megc2019)
    places = {name.casefold(): place for place, name in enumerate(classes)}
    numbers = {str(place + first): place for place in range(len(classes))}
    known = numbers | places  # a class that is called 2 is not the third
    true = _indices(words, known, classes, "true")
    notes = [note] if note else []
    if columns and len(columns) != len(classes):
        raise ValueError(f"it has {len(columns)} columns of probabilities for {len(classes)} classes")
    largest = _largest(columns, known, classes) if columns else None
    if guesses is None:
        assert largest is not None, "Roles.enough has looked"
        return Labels(classes, true, largest, assumed, tuple(notes))
    chosen = _indices(guesses, known, classes, "predicted")
    if largest is not None and (largest != chosen).any():
        notes.append(
            f"in {int((largest != chosen).sum())} rows the predicted class is not that of the largest probability; the predicted class counts"
        )
    return Labels(classes, true, chosen, assumed, tuple(notes))


def _words(cells: Sequence[Cell], what: str) -> list[str]:
    known: dict[Cell, str] = {}
    words = []
    for number, cell in enumerate(cells, 1):
        word = known.get(cell)
        if word is None:
            try:
                word = known[cell] = _word(cell)
            except ValueError as error:
                raise ValueError(f"row {number}: the {what} {error}") from error
        words.append(word)
    return words


def _word(cell: Cell) -> str:
    """Return a class as it is looked up: ``2`` of 2.0, ``negative`` of `` Negative``."""
    if isinstance(cell, float) and not math.isfinite(cell):
        raise ValueError(f"is {cell}")
    text = str(cell).strip()
    if not text or text.casefold() in ("nan", "none", "null", "na", "n/a"):
        raise ValueError("is empty")
    number = WHOLE.fullmatch(text)
    if number and int(number[1]) <= 2 * MOST_CLASSES:
        return str(int(number[1]))
    if NAME.fullmatch(text):
        return SHORT.get(text.casefold(), text.casefold())
    raise ValueError(f"'{text[:40]}' is neither a name nor a number from 0 to {MOST_CLASSES - 1}")


def _classes(
    seen: set[str], columns: tuple[str, ...], asked: tuple[str, ...] | None, megc2019: bool
) -> tuple[tuple[str, ...], bool, int, str]:
    """Return class names, whether their order is assumed, the number of the first, and what to tell."""
    numbers = {int(word) for word in (*seen, *(columns if not asked else ())) if word.isdecimal()}
    first = int(bool(numbers) and min(numbers) == 1)
    told = "classes are numbered from 1; " if first else ""
    if asked is not None:
        first = int(bool(first) and max(numbers) == len(asked))
        return asked, False, first, "classes are numbered from 1" if first else ""
    if columns and not any(column.isdecimal() for column in columns):
        return columns, False, 0, ""
    if megc2019 and first and max(numbers) < 3:
        first, told = 0, ""  # no clip of a few is negative
    if any(not word.isdecimal() for word in seen):
        if numbers:
            raise ValueError(
                "some classes are names and others numbers: name the classes in the order of their numbers (--classes negative,positive,surprise)"
            )
        return _in_order(seen), False, 0, ""
    highest = max(numbers) - first
    if megc2019 and highest < 3:
        order = OF_MEGC2019 if not first else "1 negative, 2 positive, 3 surprise"
        return manifest.CLASSES, True, first, f"{told}classes are taken in the order of MEGC2019: {order} (other: --classes)"
    if highest >= MOST_CLASSES:
        raise ValueError(f"a class has the number {highest + first}; {MOST_CLASSES} classes at most are scored")
    names = tuple(str(number) for number in range(first, highest + 1 + first))
    absent = [name for name in names if int(name) not in numbers]
    lack = f"; {', '.join(absent)} never occur{'s' if len(absent) == 1 else ''}" if absent else ""
    return names, False, first, f"{told}classes are called by their numbers, {names[0]} to {names[-1]}{lack} (names: --classes)"


def _in_order(seen: set[str]) -> tuple[str, ...]:
    """Return class names in the order of the scheme that has just these; of MEGC2019's also where one of them never occurs."""
    if len(seen) > MOST_CLASSES:
        raise ValueError(f"it has {len(seen)} classes; {MOST_CLASSES} at most are scored")
    if seen <= set(manifest.CLASSES):
        return manifest.CLASSES
    known = (schemes.classes(name) for name in schemes.names() if not schemes.is_mini(name))
    return next((classes for classes in known if set(classes) == seen), tuple(sorted(seen)))


def _indices(words: Sequence[str], known: Mapping[str, int], classes: tuple[str, ...], kind: str) -> NDArray[np.int64]:
    for number, word in enumerate(words, 1):
        if word not in known:
            raise ValueError(f"row {number}: the {kind} class '{word[:40]}' is none of {', '.join(classes)[:200]}")
    return np.array([known[word] for word in words], dtype=np.int64)


def _largest(columns: Mapping[str, Sequence[Cell]], known: Mapping[str, int], classes: tuple[str, ...]) -> NDArray[np.int64]:
    places = [known.get(column, -1) for column in columns]
    if sorted(places) != list(range(len(classes))):
        raise ValueError(f"the columns of probabilities are of {', '.join(columns)[:120]}, the classes are {', '.join(classes)[:120]}")
    table = np.empty((len(next(iter(columns.values()))), len(classes)))
    for place, (name, cells) in zip(places, columns.items(), strict=True):
        for row, cell in enumerate(cells):
            try:
                table[row, place] = float(cell if not isinstance(cell, str) else cell.strip().replace(",", "."))
            except (ValueError, OverflowError):
                table[row, place] = np.nan
        if not np.isfinite(table[:, place]).all():
            row = int(np.flatnonzero(~np.isfinite(table[:, place]))[0])
            raise ValueError(f"row {row + 1}: the probability of {name[:40]} is '{str(cells[row])[:40]}', no number")
    chosen: NDArray[np.int64] = table.argmax(-1)
    return chosen


def named(text: str) -> tuple[str, ...]:
    """Return the class names that a user gives, ``negative,positive,surprise``, in their order.

    Raises:
        UserError: fewer than two, one twice, or one that is no name.
    """
    words = [word.strip() for word in text.split(",")]
    try:
        names = tuple(_word(word) for word in words)
        if not 1 < len(names) <= MOST_CLASSES or len(set(names)) < len(names) or any(name.isdecimal() for name in names):
            raise ValueError(f"'{text[:60]}' are no names of two classes or more, each once")
    except ValueError as error:
        raise UserError(
            f"these classes cannot be scored: {error}", where="--classes", remedy="write --classes negative,positive,surprise"
        ) from error
    return names
