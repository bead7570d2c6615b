"""merbench score: what predictions of any origin are worth. No torch, and nothing that is read is executed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.board.foreign.predictions import Predictions


def score(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, JSON, parquet, .xlsx, a printed log of a public script, a folder with a file a subject, or a run's folder; known by "
            "content. - reads standard input."
        ),
    ],
    database: Annotated[
        str | None, typer.Option(help="Whose subjects these are, where their spelling does not tell: smic, casme2, samm, casme3.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Class names in the order of their numbers: negative,positive,surprise.")] = None,
    against: Annotated[str | None, typer.Option(help="A run of the board on the same clips: paired test over subjects.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
    claimed_uf1: Annotated[str | None, typer.Option(help="A printed UF1, such as 0.7353 or 73.53: which quantity is it?")] = None,
    claimed_uar: Annotated[str | None, typer.Option(help="A printed UAR: which quantity is it?")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for a program.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to the screen.")] = None,
) -> None:
    """Score predictions of any origin: pooled UF1 and UAR with interval, other averages, chance, what a claimed score really is."""
    from merbench.board import scored, scored_text
    from merbench.board.claims import parse
    from merbench.board.naming import find

    claimed = {name: printed for name, printed in (("UF1", claimed_uf1), ("UAR", claimed_uar)) if printed is not None}
    for name, printed in claimed.items():
        try:
            parse(printed)
        except ValueError as error:
            raise UserError(str(error), where=f"--claimed-{name.lower()}", remedy="write it as printed: 0.7353 or 73.53") from error
    read = _predictions(file, database, classes)
    run = find(runs, against, lambda each: scored.fits(read, each)) if against is not None else None
    found = scored.scored(read, claimed, run)
    name = "standard input" if file == "-" else Path(file).name
    text = json.dumps(scored.as_json(found), indent=1, allow_nan=False) + "\n" if as_json else scored_text.text(found, name)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        if out.exists() and not out.is_file():
            raise OSError(0, "it is no file")
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the scores cannot be written: {error.strerror}", where=out.absolute(), remedy="name another file: --out"
        ) from error


def _predictions(file: str, database: str | None, classes: str | None) -> Predictions:
    """Return the file's predictions, compared with the list of MEGC2019."""
    from merbench.board.foreign import files, folders, labels, listed, people, predictions, runs
    from merbench.results import Run

    whose = None
    if database is not None:
        try:
            whose = people.database_of(database)
        except ValueError as error:
            raise UserError(str(error), where="--database", remedy=f"name one of {', '.join(people.known_order())}") from error
    names = labels.named(classes) if classes is not None else None
    path = Path(file)
    if file != "-" and path.is_dir():
        if (path / "request.yaml").is_file():
            return listed.compared(runs.of_run(Run(path)))
        return listed.compared(predictions.understand(folders.read(path, whose), path, whose, names))
    where = "standard input" if file == "-" else path
    content = files.read(None, sys.stdin.buffer) if file == "-" else files.read(path)
    return listed.compared(predictions.understand(content, where, whose, names))
