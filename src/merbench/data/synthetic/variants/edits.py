"""Cells of a sheet changed to what some copy has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from merbench.data.synthetic.script import Scene
from merbench.data.synthetic.sheets import Cells
from merbench.data.synthetic.takes import Layout
from merbench.streams import key_of

Cell = str | int | None
Thing = TypeVar("Thing")


class Table:
    """A sheet being changed.

    Attributes:
        title: of the sheet.
        head: the rows above, header included.
        rows: those below, in the order of the scenes.
    """

    def __init__(self, made: tuple[str, list[Cells]], scenes: Sequence[Scene], layout: Layout) -> None:
        """Take a sheet over, with the scenes of its rows and the layout in which its oddities are counted."""
        self.title, table = made
        first = next(index for index, row in enumerate(table) if row[0] == "Subject") + 1
        self.head: list[list[Cell]] = [list(row) for row in table[:first]]
        self.rows: list[list[Cell]] = [list(row) for row in table[first:]]
        self._places = {scene.clip.key: place for place, scene in enumerate(scenes)}
        self._layout = layout
        assert len(self.rows) == len(scenes)

    def place(self, column: str) -> int:
        """Return where a column is."""
        return self.head[-1].index(column)

    def cell(self, key: str, column: str) -> Cell:
        """Return a clip's cell."""
        return self.rows[self._places[key]][self.place(column)]

    def set(self, oddity: str, key: str, column: str, value: Cell | Callable[[Cell], Cell]) -> None:
        """Change a clip's cell, to a value or to what a function makes of it; nothing where there is no such clip, not counted without a name."""
        if key in self._places:
            row, at = self.rows[self._places[key]], self.place(column)
            row[at] = value(row[at]) if callable(value) else value
            self._layout.oddities.update([oddity] * bool(oddity))

    def arranged(self, columns: Sequence[str]) -> None:
        """Bring these columns to the front, in this order."""
        front = [self.place(column) for column in columns]
        order = front + [at for at in range(len(self.head[-1])) if at not in front]
        for row in (self.head[-1], *self.rows):
            row[:] = [row[at] for at in order]

    def all(self) -> list[Cells]:
        """Return every row."""
        return [*self.head, *self.rows]


def some(things: Sequence[Thing], count: int, of: int, name: Callable[[Thing], str], purpose: str) -> list[Thing]:
    """Return so many of so many, drawn by name: of a part of them a like share, and one at least."""
    order = sorted(things, key=lambda thing: key_of("synthetic", purpose, name(thing)))
    return order[: max(1, round(count * len(things) / of))]
