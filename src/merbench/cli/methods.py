"""merbench methods: what there is, and how far it is its paper's."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merbench.errors import UserError, told

if TYPE_CHECKING:
    from rich.console import Console

    from merbench.batch import Inputs


def methods(name: Annotated[str | None, typer.Argument(help="A method or its own file, for its whole card.")] = None) -> None:
    """List the methods, or show one method's card, arguments and inputs."""
    from merbench import methods as package

    package.check(name or package.NAMES[0])

    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if name is None:
        _list(console)
        return
    from merbench.config import Data
    from merbench.method import METHODS
    from merbench.presets import resolve

    loaded = package.load(name)
    constructor = METHODS[loaded.name]
    try:
        trial = constructor(3)
        stages = trial.stages()
    except (Exception, SystemExit) as error:
        if not package.is_file(name):
            raise
        raise UserError(  # whatever somebody's own file raises
            f"the method cannot be built: {told(error)[:300]}",
            where=package.line_of(error, Path(name)),
            remedy="correct the file; docs/add-a-method.md has an example",
        ) from error
    card = constructor.card
    console.print(Text.assemble((loaded.name, "bold"), f"  {card.title} ({card.year})"))
    console.print(f"source      {card.paper}", markup=False)
    console.print(f"fidelity    network: {card.network}, training: {card.training}", markup=False)
    for departure in card.departures:
        console.print(f"departure   {departure}", markup=False)
    for classes, count in card.parameters.items():
        console.print(f"parameters  {count:,} with {classes} classes, by its paper or the layers of its code", markup=False)
    settled = resolve(loaded.name, constructor, data=Data(), own=package.own(name))
    for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
        value = settled.arguments.get(parameter.name, parameter.default)
        console.print(f"setting     method.{parameter.name}={value}", markup=False)
    if stages:
        for field in dataclasses.fields(settled.training):
            console.print(f"setting     training.{field.name}={getattr(settled.training, field.name)}", markup=False)
    for read in _read(trial.inputs) or ["nothing of a clip"]:
        console.print(f"reads       {read}", markup=False)
    for each in card.pretraining:
        console.print(f"may learn   from {each}", markup=False)
    if trial.inputs.macro:
        console.print(
            "pre-trains  on macro-expression clips of CAS(ME)^3 (merbench prepare macro) or your own pictures (merbench data set expressions)",
            markup=False,
        )


def _list(console: Console) -> None:
    from rich.table import Table

    from merbench.card import shipped

    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("method", "year", "network", "training", "what"):
        table.add_column(column, no_wrap=column != "what")
    for each, card in shipped().items():
        table.add_row(each, str(card.year), card.network, card.training, card.title)
    console.print(table)
    console.print(
        "paper: as read in the paper; port: as public code, which the card names; reconstruction: ours, after the paper; own: merbench's, of no paper.",
        style="dim",
    )
    console.print("One of them, with its departures, settings and inputs: merbench methods NAME", style="dim")


def _read(inputs: Inputs) -> list[str]:
    """Return what a method reads of a clip, in words."""
    flow, frame, read = inputs.flow, inputs.frame, []
    if flow:
        read.append(f"flow of {flow.size} pixels, u, v{' and strain' if flow.strain else ''}, stabilised by: {flow.stabilisation}")
    if frame:
        between = ", and frames between them" if frame.sequence else ""
        read.append(f"onset and apex of {frame.size} pixels in {'colour' if frame.colour else 'grey'}{between}")
    if inputs.landmarks:
        read.append("68 landmarks")
    return read
