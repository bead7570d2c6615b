"""merbench perf: speed as ratios, measured in one run."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from merbench.cli.progress import watching

app = typer.Typer(help="Measure speed as ratios, in one run.", no_args_is_help=True)


@app.callback()
def perf() -> None:
    """Measure speed as ratios: what is compared takes turns, so that a busy machine slows both."""


@app.command("prepare")
def prepare(
    clips: Annotated[int, typer.Option(min=1, help="So many, of three databases; with few of them the start of processes weighs.")] = 96,
    repetitions: Annotated[int, typer.Option(min=1, max=100, help="Of the whole; one more of the bare.")] = 3,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes. Left out: one per core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every number.")] = False,
) -> None:
    """Compare the whole preparation of clips with OpenCV's TV-L1 alone, one process a core each."""
    from merbench.engine import perf as engine

    with tempfile.TemporaryDirectory(prefix="merbench-rendered-") as folder, watching({"repetitions": "repetitions"}) as watch:
        found = engine.preparation(engine.rendered(clips, workers, Path(folder)), workers, repetitions, watch)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(found), "ratios": found.ratios, "ratio": found.ratio}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found.pairs} pairs of onset and apex (rendered), {found.cores} processes, {repetitions} repetitions")
    for name in ("", "pairs/s", "lowest", "highest"):
        table.add_column(name, justify="right" if name else "left")
    for name, values, digits in ((engine.BARE, found.bare, 2), (engine.WHOLE, found.whole, 2), ("ratio", found.ratios, 3)):
        ordered = sorted(values)
        middle = found.ratio if name == "ratio" else ordered[len(ordered) // 2]
        table.add_row(name, *(f"{value:.{digits}f}" for value in (middle, ordered[0], ordered[-1])))
    Console(highlight=False).print(table)
