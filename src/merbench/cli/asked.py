"""What a command that trains is asked for, with everything that was left out filled in."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from merbench.cli.progress import watching
from merbench.errors import UserError

ApexOption = Annotated[
    Literal["middle", "flow", "table"],
    typer.Option(help="For clips without an apex: the middle frame, that with most motion, or your own table (merbench data set apex)."),
]
MacroOption = Annotated[
    Literal["casme3", "expressions"] | None,
    typer.Option(help="What a method with pre-training learns from first, where both are set up: macro-expression clips, or pictures."),
]
FaceOption = Annotated[Literal["aligned", "owner"], typer.Option(help="Faces found and aligned, or as the owners cropped them.")]


@dataclass(frozen=True)
class Asked:
    """Source, scheme and data of a request, and how many processes.

    Attributes:
        source: name.
        runs: data and scheme of each run.
        workers: processes; None for one per GPU, else per core.
    """

    source: str
    runs: tuple[tuple[str, str], ...]
    workers: int | None


def settle(method: str, on: str | None, scheme: str | None, source: str | None, workers: str) -> Asked:
    """Check the words of a request before anything heavy is imported, and fill in what was left out.

    Where no data are set up, the mini set is rendered into ``synthetic``.

    Raises:
        UserError: an unknown name, or no data.
    """
    from merbench import methods
    from merbench.data import databases, places, schemes

    methods.check(method)
    count = _worker_count(workers)
    source = source if source is not None else places.set_up()
    if source is not None:
        places.check_source(source)
    if scheme is not None:
        schemes.check(scheme)
        if scheme in schemes.SCHEMES:
            schemes.scheme(scheme)  # a damaged manifest is told before anything else
    named = _databases(on) if on is not None else None
    if source is None or (source == places.SYNTHETIC and places.set_up() is None):
        source = _render_mini(scheme, count)
    if named is None:
        scheme = scheme or places.scheme_for(source)
        named = [places.complete(source, scheme)]
    return Asked(source, tuple((each, scheme or places.scheme_for(source, databases.databases_of(each))) for each in named), count)


def _databases(on: str) -> list[str]:
    """Return the runs that ``--on`` asks for, each by its one name."""
    from merbench.data import databases

    whole = [databases.join(databases.databases_of(each)) for each in on.split(",")]
    if len(set(whole)) < len(whole):
        raise UserError("the same data are named twice", where=f"--on {on}", remedy=f"write {','.join(dict.fromkeys(whole))}")
    return whole


def _render_mini(scheme: str | None, workers: int | None) -> str:
    """Render the mini set into ``synthetic``, since nothing is set up, and return the source."""
    from merbench.data import places, schemes
    from merbench.data.manifest import DATABASES

    if scheme not in (None, schemes.FIRST_LOOK):
        raise UserError(
            f"no data are set up for {scheme}",
            where="--scheme",
            remedy="merbench data set casme2 PATH (docs/data.md), or merbench synth synthetic --size full, or leave --scheme out",
        )
    from merbench.data.synthetic.write import write

    typer.echo(f"no database is set up, so faces are rendered into {places.SYNTHETIC}/: a first look, not a result", err=True)
    with watching() as watch, contextlib.closing(write(Path(places.SYNTHETIC), "mini", databases=DATABASES, workers=workers)) as states:
        for state in states:
            watch("rendering", state.done, state.total)
    return places.SYNTHETIC


def _worker_count(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 5) or not 1 <= int(text) <= 1024:
        raise UserError(f"'{text[:20]}' workers cannot be had", where="--workers", remedy="give a number from 1, or auto")
    return int(text)
