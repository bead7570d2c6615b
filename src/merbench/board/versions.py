"""Which runs a later version of the method, or of how merbench trains, has replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merbench.results import Provenance


@dataclass(frozen=True)
class Version:
    """What decides whether one run replaces another.

    Attributes:
        same: its name and all that rows of one table share.
        numbers: of the method, of the engine and of how clips are served, each raised when the same request begins to give other numbers; empty
            where they are not known.
        sources: hashes of the method's own file and of the clips that it is pre-trained on; empty where there are none.
        whole: whether a seed has all its folds.
    """

    same: tuple[str, ...]
    numbers: tuple[int, ...]
    sources: tuple[str, ...]
    whole: bool


def numbers(versions: Mapping[str, int]) -> tuple[int, ...]:
    """Return the versions of method and engine, and of how clips are served where a run's key has it."""
    found = (versions.get("method", 0), versions.get("engine", 0))
    return (*found, versions["serving"]) if "serving" in versions else found


def sources(provenance: Provenance) -> tuple[str, ...]:
    """Return what a run's name and table do not tell of what it is made of."""
    return (provenance.method_file, provenance.data.get("macro", ""))


def superseded(found: Sequence[Version]) -> list[bool]:
    """Return of each whether another replaces it.

    That is whole, and of a later version of the method; or of a later engine or way to serve clips, where both were made of the same file and
    pictures: two files may have one name, and the older of them was not run anew.
    """
    return [any(_replaces(other, each) for other in found) for each in found]


def _replaces(other: Version, each: Version) -> bool:
    if not other.whole or other.same != each.same or other.numbers <= each.numbers:
        return False
    return other.numbers[:1] > each.numbers[:1] or other.sources == each.sources
