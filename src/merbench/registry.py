"""Names to things: a second name is refused, a miss is answered with the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from merbench.errors import UserError

T = TypeVar("T")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'? "`` for the nearest known word, or nothing, then all known words; for a remedy."""
    names = sorted(known)
    folded = {name.lower().replace("-", "_"): name for name in names}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.5)
    guess = f"did you mean '{folded[close[0]]}'? " if close else ""
    return f"{guess}known: {', '.join(names)}"


class Registry(Generic[T]):
    """A table of named things, filled by a decorator.

    Args:
        noun: what one entry is called in messages, such as "method".
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._entries: dict[str, T] = {}

    def add(self, name: str) -> Callable[[T], T]:
        """Register the decorated thing under ``name``.

        Raises:
            ValueError: the name is taken by another thing.
        """

        def keep(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"two {self.noun}s are called '{name}'")
            self._entries[name] = entry
            return entry

        return keep

    def remove(self, name: str) -> None:
        """Take an entry back."""
        del self._entries[name]

    def __getitem__(self, name: str) -> T:
        """Return the entry.

        Raises:
            UserError: nothing has that name; the nearest one is offered.
        """
        if name not in self._entries:
            raise UserError(f"there is no {self.noun} '{name}'", remedy=nearest(name, self._entries))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
