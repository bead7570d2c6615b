"""merbench check: whether a score moved. Exit code 1 where one did."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.board.regression import Pinned, Verdict


def check(
    baseline: Annotated[Path | None, typer.Option(help="A folder with requests.yaml and their archives. Left out: merbench's own.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Train this request of the baseline alone; may be said again.")] = None,
    train: Annotated[bool, typer.Option("--train/--no-train", help="Or only score committed predictions again: seconds.")] = True,
    update: Annotated[
        bool, typer.Option("--update", help="Write what is found as the new baseline, and a line under 'Results changed'.")
    ] = False,
    summary: Annotated[Path | None, typer.Option(help="Add the table to this file too, as a job's summary ($GITHUB_STEP_SUMMARY).")] = None,
    workers: Annotated[str, typer.Option(help="Processes, or auto: one per GPU, or per core.")] = "auto",
) -> None:
    """Refuse a moved score: committed predictions are scored again, and small pinned requests are trained into an empty folder, on rendered faces."""
    from merbench.board import machine, regression, rescoring
    from merbench.config import shipped

    if update and not train:
        raise UserError("--no-train finds nothing to write", where="--update", remedy="leave one of them out")
    if summary is not None and not summary.absolute().parent.is_dir():  # told now, not after minutes of training
        raise UserError("there is no such folder", where=summary.absolute().parent, remedy="name another file: --summary")
    own = shipped("experiments")
    folder = (baseline or own / "baselines").absolute()
    if update and only and (folder / machine.PLATFORM).is_file() and (unlike := machine.unlike(folder)):
        raise UserError(
            f"the other archives were made elsewhere ({unlike}), and one platform stands for all",
            where="--only",
            remedy="leave it out: every request is trained anew",
        )
    pinned = regression.chosen(regression.requests(folder), only or [], folder / regression.REQUESTS)
    archives = sorted(path for root in {folder, *([own / "results"] if baseline is None else [])} for path in root.rglob("*.parquet"))
    again = [rescoring.rescored(path, path.relative_to(own).as_posix() if path.is_relative_to(own) else path.name) for path in archives]
    _tell(again)
    trained = list(_trained(folder, pinned, update, workers)) if train else []
    _tell(trained)
    if summary is not None:
        _summarise([*again, *trained], summary)
    if not update:
        _refuse([*again, *trained], "where it is meant, merbench check --update")
        return
    _note(trained, own.parent / "CHANGELOG.md" if baseline is None else None)
    remade = {folder / f"{name}.parquet" for name in pinned}
    others = [verdict for path, verdict in zip(archives, again, strict=True) if path not in remade]
    _refuse(others, "where it is meant, make them anew from their runs: merbench archive RUN")


def _refuse(verdicts: list[Verdict], remedy: str) -> None:
    """End with exit code 1 where something moved."""
    moved = [verdict.name for verdict in verdicts if verdict.moved]
    if not moved:
        return
    typer.echo(
        f"merbench: {len(moved)} of {len(verdicts)} moved: {', '.join(moved)}\n"
        f"do: find the change that moved them; {remedy}, and say why under 'Results changed'",
        err=True,
    )
    raise typer.Exit(1)


def _summarise(verdicts: list[Verdict], summary: Path) -> None:
    """Add the table to a job's summary.

    Raises:
        UserError: it cannot be written.
    """
    from merbench.board import regression

    try:
        with summary.open("a", encoding="utf-8") as file:
            file.write("## merbench check\n\n" + regression.markdown(verdicts))
    except OSError as error:
        raise UserError(f"the summary cannot be written: {error.strerror}", where=summary, remedy="name another file: --summary") from error


def _trained(folder: Path, pinned: dict[str, Pinned], update: bool, workers: str) -> Iterator[Verdict]:
    """Train each request into an empty folder, its data prepared anew from frames, and yield what became of it.

    A new baseline is written when all of it is there: an interrupted update leaves the old one, whose platform stands for every archive.
    """
    from merbench.board import archive, machine, regression

    unlike = "" if update else machine.unlike(folder)
    made: dict[Path, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="merbench-check-") as empty:
        for name, request in pinned.items():
            path = folder / f"{name}.parquet"
            before = archive.read(path) if path.is_file() else None
            if before is None and not update:
                raise UserError(f"the baseline has no archive of {name}", where=path, remedy="make it: merbench check --update")
            made[path] = _train(request, Path(empty), workers)
            new = Path(empty) / f"{name}.parquet"
            new.write_bytes(made[path])
            now = archive.read(new)
            yield regression.compared(name, before or now, now, unlike)
    if update:
        for path, content in made.items():
            archive.put(content, path, "make the folder writable, or name another: --baseline")
        machine.write(folder)


def _train(request: Pinned, empty: Path, workers: str) -> bytes:
    """Return the archive of a request that was trained in an empty folder."""
    from merbench.board import archive
    from merbench.cli import asked, bench
    from merbench.cli.progress import watching
    from merbench.engine import run

    with _away(empty):
        settled = asked.settle(
            request.method, request.databases, request.scheme, request.source, workers
        )  # renders faces where there are none
        with watching() as watch:
            planned = run.plan(
                request.method,
                request.databases,
                source=request.source,
                scheme=request.scheme,
                preset="quick" if request.preset == "quick" else "full",
                overrides=request.overrides,
                seeds=request.seeds,
                worker_count=settled.workers,
                root=Path("runs"),
                watch=watch,
            )
        code = bench.carry_out(planned, alone=False)
        if code:
            raise typer.Exit(code)
        return archive.pack(planned.run)


@contextlib.contextmanager
def _away(folder: Path) -> Iterator[None]:
    """Work in a folder where nothing was trained or prepared, with the data that are set up here; rendered faces only where they are the mini set."""
    from merbench import settings
    from merbench.data import manifest, places

    there = {name: settings.data_path(name) for name in settings.PLACES}
    rendered = there[settings.SYNTHETIC] or Path(settings.SYNTHETIC)
    mini = all(places.rendered_size(database, rendered) == "mini" for database in manifest.DATABASES)
    there[settings.SYNTHETIC] = rendered if mini else None
    kept = {settings.variable(name): os.environ.get(settings.variable(name)) for name in there}
    for name, path in there.items():
        if path is not None:
            os.environ[settings.variable(name)] = str(path.absolute())
        else:
            os.environ.pop(settings.variable(name), None)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        for variable, value in kept.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value


HEADING = "### Results changed\n"


def _note(trained: list[Verdict], changelog: Path | None) -> None:
    """Write what moved under "Results changed": whoever updates a baseline says so, and then why. Of a baseline of one's own, say it only."""
    lines = [
        f"- `merbench check`: {verdict.name} UF1 {verdict.before:.4f}, now {verdict.now:.4f} ({verdict.moved[0]}). Why: TODO\n"
        for verdict in trained
        if verdict.moved
    ]
    if not lines:
        return
    if changelog is None or not changelog.is_file():
        typer.echo("for a changelog, under 'Results changed':\n" + "".join(lines), nl=False)
        return
    from merbench.foldfile import write

    text = changelog.read_text(encoding="utf-8")
    first = text.find("\n## ")  # of the version that is being made; those below it are out
    end = text.find("\n## ", first + 1) + 1 if first >= 0 else 0
    new, old = (text[:end], text[end:]) if end else (text, "")
    head, title, rest = new.partition(HEADING)
    if not title:
        head, rest = new.rstrip("\n") + "\n\n", "\n" if old else ""
    write(changelog, (head + HEADING + "".join(lines) + rest + old).encode())
    typer.echo(f"{changelog.name} has {len(lines)} new line{'s' if len(lines) > 1 else ''} under 'Results changed': say why")


def _tell(verdicts: list[Verdict]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not verdicts:
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "", "baseline UF1", "now", ""):
        table.add_column(name, justify="right" if name in ("baseline UF1", "now") else "left", overflow="fold")
    for each in verdicts:
        words = "; ".join(each.moved) or ("the same" if each.before == each.now else f"within the {each.allowed:.3f} that seeds move it by")
        table.add_row(
            escape(each.name),
            each.what,
            f"{each.before:.4f}",
            f"{each.now:.4f}",
            f"[bold red]moved[/]: {escape(words)}" if each.moved else words,
        )
    console.print(table)
    for told in sorted({each.told for each in verdicts if each.told}):
        typer.echo(told, err=True)
