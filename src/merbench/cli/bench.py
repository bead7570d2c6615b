"""merbench bench: train what is missing, then print the row."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from merbench.cli.progress import interrupt, watching
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.engine.run import Plan


def bench(
    method: Annotated[
        str, typer.Argument(help="A method's name ([bold]merbench methods[/] lists them), or a file of your own: ./my_method.py.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as training.epochs=20 or method.c=3.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="Databases: 3db, smic+casme2, ...; several runs with a comma. Left out: every database that is complete."),
    ] = None,
    scheme: Annotated[
        str | None, typer.Option(help="Clips and classes: megc3, or megc3-mini for a first look. Left out: what the data are good for.")
    ] = None,
    preset: Annotated[
        Literal["full", "quick"] | None, typer.Option(help="As published, or shortened for a first look. Left out: quick on megc3-mini.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many seeds; more add to those that are there.")] = 1,
    workers: Annotated[str, typer.Option(help="Processes: a number, or auto for one per GPU, else per core.")] = "auto",
    source: Annotated[
        str | None,
        typer.Option(
            help="Where the arrays come from: frames, published-flow or synthetic. Left out: the first that is set up, else synthetic."
        ),
    ] = None,
    save_weights: Annotated[
        bool,
        typer.Option(
            "--save-weights", help="Keep each fold's weights. Those of a method that remembers its training clips (svm_flow) hold them."
        ),
    ] = False,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
) -> None:
    """Train and score METHOD by leave-one-subject-out. Interrupt it when you like: the same command goes on where it stopped."""
    from merbench import methods
    from merbench.data import load, schemes

    methods.check(method)
    count = _worker_count(workers)
    source = source if source is not None else load.set_up()
    if source is not None:
        load.check_source(source)
    if scheme is not None:
        schemes.scheme(scheme)
    if on is not None:
        _databases(on)
    if source is None or (source == load.SYNTHETIC and load.set_up() is None):
        source = _render_mini(scheme, count)
    scheme = scheme or load.scheme_for(source)
    whole = _databases(on if on is not None else load.complete(source, scheme))

    from merbench.engine import run
    from merbench.engine import workers as processes

    processes.warm()
    with watching() as watch:
        plans = [
            run.plan(
                method,
                each,
                source=source,
                scheme=scheme,
                preset=preset or ("quick" if scheme == schemes.FIRST_LOOK else "full"),
                overrides=overrides or [],
                seeds=seeds,
                worker_count=count,
                root=runs,
                watch=watch,
                save_weights=save_weights,
            )
            for each in whole
        ]
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        codes = [_run(planned) for planned in plans]
    finally:
        signal.signal(signal.SIGTERM, before)
    raise typer.Exit(max(codes))


def _databases(on: str) -> list[str]:
    """Return the runs that ``--on`` asks for, each by its one name."""
    from merbench.data import manifest

    whole = [manifest.join(manifest.databases_of(each)) for each in on.split(",")]
    if len(set(whole)) < len(whole):
        raise UserError("the same data are named twice", where=f"--on {on}", remedy=f"write {','.join(dict.fromkeys(whole))}")
    return whole


def _render_mini(scheme: str | None, workers: int | None) -> str:
    """Render the mini set into ``synthetic``, since nothing is set up, and return the source."""
    from merbench.data import load, schemes
    from merbench.data.manifest import DATABASES

    if scheme not in (None, schemes.FIRST_LOOK):
        raise UserError(
            f"no data are set up for {scheme}",
            where="--scheme",
            remedy="merbench data set casme2 PATH (docs/data.md), or merbench synth synthetic --size full, or leave --scheme out",
        )
    from merbench.data.synthetic.write import write

    typer.echo(f"no database is set up, so faces are rendered into {load.SYNTHETIC}/: a first look, not a result", err=True)
    with watching() as watch:
        for state in write(Path(load.SYNTHETIC), "mini", databases=DATABASES, workers=workers):
            watch("rendering", state.done, state.total)
    return load.SYNTHETIC


def _run(planned: Plan) -> int:
    """Do one plan and print its row; return the exit code."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from merbench.board.rows import row_of
    from merbench.cli.show import show_row
    from merbench.engine import run, workers

    console = Console(stderr=True, highlight=False)
    missing, there = len(planned.missing), len(planned.names) - len(planned.missing)
    about = f"{planned.request.name} on {planned.request.data.on}, {len(planned.folds)} folds"
    console.print(f"{about}: {there} finished before, {missing} to do, {min(len(planned.devices), missing)} workers", markup=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    failed: list[workers.Failed] = []
    shares: dict[workers.Task, float] = {}
    done = there

    def state() -> str:
        return f"{done} of {len(planned.names)} folds"

    events = run.execute(planned)
    try:
        with Progress(*columns, console=console, disable=not missing) as progress:
            bar = progress.add_task(planned.request.method, total=len(planned.names), completed=there, state=state())
            for event in events:
                if isinstance(event, workers.Progress):
                    shares[event.task] = event.share
                elif isinstance(event, workers.Finished):
                    shares[event.task] = 1.0
                    done += 1
                    _say_line(console, done, len(planned.names), planned.name(event.task), event.cost.seconds)
                else:
                    shares.pop(event.task, None)
                    what = "is tried once more" if event.again else "has failed"
                    console.print(f"fold {planned.name(event.task)} {what}: {event.reason}", markup=False)
                    failed += [] if event.again else [event]
                progress.update(bar, completed=there + sum(shares.values()), state=state())
    except KeyboardInterrupt:
        events.close()
        console.print(f"interrupted: {done} of {len(planned.names)} folds are kept; the same command goes on from there", markup=False)
        raise typer.Exit(130) from None
    row = row_of(planned.run)
    if row.readings:
        show_row(row, planned.run.path)
    finished = planned.run.finished() if planned.save_weights else set()
    without = [name for name in planned.names if name in finished and not planned.run.weights_path(name).is_file()]
    if without:
        console.print(
            f"{len(without)} folds were finished before without weights, {without[0]} first: delete their fold files to train them again",
            markup=False,
        )
    if not failed:
        return 0
    if done < len(planned.names) - len(failed):
        console.print("given up: the first folds all failed and none has finished; the rest was not tried", markup=False)
    console.print(
        f"{len(failed)} fold{'s' if len(failed) > 1 else ''} failed, {done} of {len(planned.names)} are kept: {planned.run.path}",
        markup=False,
    )
    if any(event.trace for event in failed):
        console.print(f"what went wrong, fold by fold: {planned.run.path / 'failures'}", markup=False)
    return 1


def _say_line(console: object, done: int, total: int, name: str, seconds: float) -> None:
    """Where there is no terminal to draw a bar on, print a line for each tenth of the folds."""
    from rich.console import Console

    assert isinstance(console, Console)
    if not console.is_terminal and (done == total or done * 10 // total > (done - 1) * 10 // total):
        console.print(f"{done} of {total} folds ({name}, {seconds:.1f} s)", markup=False)


def _worker_count(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 5) or not 1 <= int(text) <= 1024:
        raise UserError(f"'{text[:20]}' workers cannot be had", where="--workers", remedy="give a number from 1, or auto")
    return int(text)
