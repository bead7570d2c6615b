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
    from merbench.board import regression
    from merbench.config import shipped

    if update and not train:
        raise UserError("--no-train finds nothing to write", where="--update", remedy="leave one of them out")
    if summary is not None and not summary.absolute().parent.is_dir():  # told now, not after minutes of training
        raise UserError("there is no such folder", where=summary.absolute().parent, remedy="name another file: --summary")
    own = shipped("experiments")
    folder = (baseline or own / "baselines").absolute()
    if update and only and (folder / regression.PLATFORM).is_file() and (unlike := regression.unlike(folder)):
        raise UserError(
            f"the other archives were made elsewhere ({unlike}), and one platform stands for all",
            where="--only",
            remedy="leave it out: every request is trained anew",
        )
    pinned = regression.chosen(regression.requests(folder), only or [], folder / regression.REQUESTS)
    archives = sorted(path for root in {folder, *([own / "results"] if baseline is None else [])} for path in root.rglob("*.parquet"))
    verdicts = [regression.rescored(path, path.relative_to(own).as_posix() if path.is_relative_to(own) else path.name) for path in archives]
    _tell(verdicts)
    if train:
        trained = list(_trained(folder, pinned, update, workers))
        _tell(trained)
        verdicts += trained
    if update:
        _note(verdicts, own.parent / "CHANGELOG.md")
    if summary is not None:
        try:
            with summary.open("a", encoding="utf-8") as file:
                file.write("## merbench check\n\n" + regression.markdown(verdicts))
        except OSError as error:
            raise UserError(
                f"the summary cannot be written: {error.strerror}", where=summary, remedy="name another file: --summary"
            ) from error
    moved = [verdict.name for verdict in verdicts if verdict.moved]
    if moved and not update:
        typer.echo(
            f"merbench: {len(moved)} of {len(verdicts)} moved: {', '.join(moved)}\n"
            "do: find the change that moved them; where it is meant, merbench check --update, and say why under 'Results changed'",
            err=True,
        )
        raise typer.Exit(1)


def _trained(folder: Path, pinned: dict[str, Pinned], update: bool, workers: str) -> Iterator[Verdict]:
    """Train each request into an empty folder, its data prepared anew from frames, and yield what became of it."""
    from merbench.board import archive, regression

    unlike = "" if update else regression.unlike(folder)
    with tempfile.TemporaryDirectory(prefix="merbench-check-") as empty:
        for name, request in pinned.items():
            path = folder / f"{name}.parquet"
            before = archive.read(path) if path.is_file() else None
            if before is None and not update:
                raise UserError(f"the baseline has no archive of {name}", where=path, remedy="make it: merbench check --update")
            content = _train(request, Path(empty), workers)
            made = Path(empty) / f"{name}.parquet"
            made.write_bytes(content)
            now = archive.read(made)
            yield regression.compared(name, before or now, now, unlike)
            if update:
                archive.put(content, path)
                regression.write_platform(folder)


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


def _note(verdicts: list[Verdict], changelog: Path) -> None:
    """Write what moved under "Results changed": whoever updates a baseline says so, and then why."""
    lines = [
        f"- `merbench check`: {verdict.name} UF1 {verdict.before:.4f}, now {verdict.now:.4f} ({verdict.moved[0]}). Why: TODO"
        for verdict in verdicts
        if verdict.moved and verdict.what == "training"
    ]
    if not lines:
        return
    if not changelog.is_file():
        typer.echo("\n".join(["for the changelog, under 'Results changed':", *lines]))
        return
    from merbench.foldfile import write

    text = changelog.read_text(encoding="utf-8")
    head, title, rest = text.partition("### Results changed\n")
    write(
        changelog,
        (head + title + "\n".join(lines) + "\n" + rest if title else text + "\n### Results changed\n" + "\n".join(lines) + "\n").encode(),
    )
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
            each.name, each.what, f"{each.before:.4f}", f"{each.now:.4f}", f"[bold red]moved[/]: {escape(words)}" if each.moved else words
        )
    console.print(table)
    for told in sorted({each.told for each in verdicts if each.told}):
        typer.echo(told, err=True)
