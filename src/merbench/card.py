"""What a method is, and how far it is its paper's: read from its file, so that a list of all imports none."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from merbench.errors import UserError

Fidelity = Literal["paper", "port", "reconstruction", "own"]


@dataclass(frozen=True)
class Card:
    """What a method is, and how far it is the paper's.

    Attributes:
        title, year, paper: of the publication, with a DOI, an arXiv number or an address.
        network, training: ``paper`` where everything was read in the paper or its official code, ``port`` where it follows public
            code, the departures say whose, ``reconstruction`` where it is ours, ``own`` where there is no paper to follow.
        departures: every difference from the paper that is known, in words.
        parameters: classes to parameter count, as far as the paper prints it or the layers of its code give it.
        pretraining: data beyond the benchmark's training subjects that the method may use.
    """

    title: str
    year: int
    paper: str
    network: Fidelity
    training: Fidelity
    departures: tuple[str, ...] = ()
    parameters: Mapping[int, int] = field(default_factory=dict)
    pretraining: tuple[str, ...] = ()


def written(source: str) -> Card:
    """Return the card that a method's file holds, without running anything of it.

    Args:
        source: the text of a file with ``card = Card(...)`` in a class; every argument is named, and a plain value.

    Raises:
        ValueError, SyntaxError: it holds none, or several, or an argument has no name or is to be computed.
    """
    found = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == Card.__name__
    ]
    if len(found) != 1:
        raise ValueError(f"{len(found)} cards are written in it")
    call = found[0]
    if call.args or not all(keyword.arg for keyword in call.keywords):
        raise ValueError("an argument of its card has no name")
    try:
        return Card(**{keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords})
    except TypeError as error:
        raise ValueError(f"its card lacks an argument, or has one that cards have not: {error}") from error


@functools.cache
def shipped() -> Mapping[str, Card]:
    """Return the card of every method that comes with merbench, by name.

    Raises:
        UserError: a file has no card that can be read so; it is named.
    """
    files = sorted((Path(__file__).parent / "methods").glob("[a-z]*.py"))
    return MappingProxyType({path.stem: of_file(path) for path in files})


def of_file(path: Path) -> Card:
    """Return the card that a method's file holds.

    Raises:
        UserError: it holds none that can be read so.
    """
    try:
        return written(path.read_text(encoding="utf-8"))
    except (ValueError, SyntaxError) as error:
        raise UserError(
            f"the card of a method cannot be read: {error}",
            where=path,
            remedy="write one card = Card(...) in its class, each argument named and a plain value",
        ) from error
