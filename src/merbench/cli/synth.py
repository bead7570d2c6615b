"""merbench synth: rendered databases in the real layouts."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from merbench.cli.progress import interruptible, watching
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.data.synthetic.write import Written


def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; each database gets a folder in it.")],
    size: Annotated[Literal["mini", "full"], typer.Option(help="A first look in minutes, or as many clips as the real databases.")],
    on: Annotated[
        str | None,
        typer.Option(help="Some of 3db, smic, casme2, samm, casme3, macro, expressions, with commas. Left out: all but the last."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Another seed gives other people.")] = 0,
    all_frames: Annotated[bool, typer.Option("--all-frames", help="Every frame of a clip, not only those that a run can ask for.")] = False,
    oddities: Annotated[
        bool,
        typer.Option("--oddities", help="Lay the same frames out again in DIR/odd, as copies have them: every known layout and error."),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes. Left out: one per core.")] = None,
) -> None:
    """Write rendered databases into DIR: no person was filmed. Interrupt it when you like: the same command goes on where it stopped."""
    from merbench.data.synthetic import expressions
    from merbench.data.synthetic.write import write
    from merbench.settings import expand

    named, root = _parts(on), expand(folder)
    parts = tuple(part for part in named if part != expressions.NAME)
    if parts:
        _written(write(root, size, seed=seed, databases=parts, all_frames=all_frames, workers=workers), "clip")
    if expressions.NAME in named:
        _written(expressions.write(root, size, seed=seed, workers=workers), "picture")
    if oddities and parts:
        _odd(root, size, seed, parts, all_frames, workers)
    typer.echo(f"next: merbench data set synthetic {shlex.quote(str(folder))}")
    scheme = "megc3-mini" if size == "mini" else "megc3"
    typer.echo(f"then: merbench bench frl_dgt --source synthetic --scheme {scheme}")


def _written(events: Generator[Written], noun: str) -> None:
    """Let a renderer write, and say what it wrote."""
    began = time.monotonic()
    clips = frames = written = before = 0
    subjects: set[str] = set()
    with interruptible(lambda: "nothing was begun; run the same command again"):
        state = next(events)  # what is refused is refused before a bar is drawn
    before = state.done
    with watching() as watch, contextlib.closing(events):
        watch("rendering", state.done, state.total)
        for state in events:
            clips, frames, written = clips + 1, frames + state.frames, written + state.size
            subjects.add(state.key.rsplit("/", 1)[0])
            watch("rendering", state.done, state.total)
    if clips:
        seconds = time.monotonic() - began
        typer.echo(
            f"wrote {_count(clips, noun)} of {_count(len(subjects), 'subject')}: {frames} frames, {written / 1e6:.0f} MB, {seconds:.0f} s"
            + (f"; {_count(before, noun)} finished before" if before else "")
        )
    else:
        typer.echo(f"nothing was missing: {state.total} {noun}s are there")


def _odd(root: Path, size: Literal["mini", "full"], seed: int, parts: tuple[str, ...], all_frames: bool, workers: int | None) -> None:
    """Lay out the variants and say what is odd in them."""
    from merbench.data.synthetic.oddities import VARIANTS
    from merbench.data.synthetic.relay import FOLDER, counted, relay

    events = relay(root, size, seed=seed, databases=parts, all_frames=all_frames, workers=workers)
    with watching() as watch, contextlib.closing(events):
        for state in events:
            watch("laying out", state.done, state.total)
    found = counted(size, seed=seed, databases=parts)
    for variant in VARIANTS:
        typer.echo(f"{root / FOLDER / variant}: {len(found[variant])} oddities, {sum(found[variant].values())} times")


def _parts(on: str | None) -> tuple[str, ...]:
    """Return what is named, in the order of writing."""
    from merbench.data.manifest import COMPOSITES
    from merbench.data.synthetic import expressions
    from merbench.data.synthetic.script import PARTS
    from merbench.registry import nearest

    known = (*PARTS, expressions.NAME)
    if on is None:
        return PARTS
    named: set[str] = set()
    for word in on.replace("+", ",").split(","):
        name = word.strip().lower()
        if name not in known and name not in COMPOSITES:
            raise UserError(
                f"there is no database '{word}' to render" if name else "a database's name is empty",
                where=f"--on {on}",
                remedy=nearest(name, (*known, *COMPOSITES)) + "; write several with commas, as in 3db,casme3",
            )
        named.update(COMPOSITES.get(name, (name,)))
    return tuple(part for part in known if part in named)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
