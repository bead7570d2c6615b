"""merbench bench: train what is missing, then print the row."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from merbench.cli import ablate, asked
from merbench.cli.asked import ApexOption, FaceOption, MacroOption
from merbench.cli.progress import console, heed, interruptible, watching
from merbench.cli.wandb import tracker_of

if TYPE_CHECKING:
    from rich.console import Console

    from merbench.engine.run import Plan
    from merbench.tracking.session import Mode, Tracker


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
    protocol: Annotated[
        Literal["loso", "lodo"],
        typer.Option(help="What a fold holds out: one subject (loso), or one database (lodo), never ranked together."),
    ] = "loso",
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
    apex: ApexOption = "middle",
    face: FaceOption = "aligned",
    save_weights: Annotated[
        bool,
        typer.Option(
            "--save-weights", help="Keep each fold's weights. Those of a method that remembers its training clips (svm_flow) hold them."
        ),
    ] = False,
    ablation: Annotated[
        str | None,
        typer.Option(help="Beside the whole method, this ablation of it, or all; one table says what each costs."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the table of ablations there too; the ending says how: .md, .csv or .json.")
    ] = None,
    macro: MacroOption = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            help="Weights from which every fold starts: a state dict (.pt or .safetensors) with the method's own names. "
            "Whom they have seen is not known: the row names them."
        ),
    ] = None,
    wandb: Annotated[
        Literal["auto", "off", "offline", "online"],
        typer.Option(
            help="Tell wandb of the run, as it goes (docs/wandb.md). auto: as WANDB_MODE says, else offline: kept beside the run, nothing is sent."
        ),
    ] = "auto",
    wandb_project: Annotated[str | None, typer.Option(help="The wandb project. Left out: WANDB_PROJECT, else merbench.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
) -> None:
    """Train and score METHOD, leaving one subject (or one database) out at a time. Interrupt it when you like: the same command goes on where it stopped."""
    with interruptible(lambda: "what is finished is kept; run the same command again"):
        code = _bench(
            method,
            overrides or [],
            on,
            scheme,
            protocol,
            preset,
            seeds,
            workers,
            source,
            runs,
            save_weights,
            apex,
            face,
            ablation,
            out,
            initial,
            macro,
            wandb,
            wandb_project,
        )
    raise typer.Exit(code)


def _bench(
    method: str,
    overrides: list[str],
    on: str | None,
    scheme: str | None,
    protocol: str,
    preset: Literal["full", "quick"] | None,
    seeds: int,
    workers: str,
    source: str | None,
    runs: Path,
    save_weights: bool,
    apex: Literal["middle", "flow", "table"],
    face: Literal["aligned", "owner"],
    ablation: str | None,
    out: Path | None,
    initial: Path | None,
    macro: Literal["casme3", "expressions"] | None,
    wandb: Mode,
    project: str | None,
) -> int:
    """Do what was asked for; return the exit code."""
    tracker = tracker_of(wandb, project)
    ablate.check(out, ablation)
    chosen = ablate.asked(method, ablation, overrides)
    settled = asked.settle(method, on, scheme, source, workers)

    from merbench.data.schemes import is_mini
    from merbench.engine import run
    from merbench.engine import workers as processes

    processes.warm()

    def plan(each: str, of: str, changes: Sequence[str] = ()) -> Plan:
        return run.plan(
            method,
            each,
            source=settled.source,
            scheme=of,
            preset=preset or ("quick" if is_mini(of) else "full"),
            overrides=[*changes, *overrides],
            seeds=seeds,
            worker_count=settled.workers,
            root=runs,
            protocol=protocol,
            watch=watch,
            save_weights=save_weights,
            apex=apex,
            face=face,
            initial=initial,
            macro_from=macro or "",
        )

    with watching() as watch:
        plans = [plan(*data) for data in settled.runs]
        ablated = [[(one, ablate.planned(one, method, ablation or "", partial(plan, *data))) for one in chosen] for data in settled.runs]
    codes, tables = [], []
    for whole, without in zip(plans, ablated, strict=True):
        ablations = [each for _, each in without if not isinstance(each, str)]
        codes += [carry_out(whole, not without, tracker), *(carry_out(each, False, tracker) for each in ablations)]
        if without:
            tables.append(ablate.show(whole.run, [(one, each if isinstance(each, str) else each.run) for one, each in without]))
    if out is not None:
        ablate.keep(out, tables)
        console().print(f"{len(tables)} table{'s' if len(tables) > 1 else ''} written to {out}", markup=False)
    return max(codes)


def carry_out(planned: Plan, alone: bool = True, tracker: Tracker | None = None) -> int:
    """Do one plan and print its row, where no table of ablations will; return the exit code. Left out, the tracker tells nobody."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from merbench.board.rows import row_of
    from merbench.cli.show import show_row
    from merbench.engine import run, workers

    screen = console()
    missing, there = len(planned.missing), len(planned.names) - len(planned.missing)
    about = f"{planned.request.name} on {planned.request.data.on}, {planned.request.protocol}, {len(planned.folds)} folds"
    screen.print(f"{about}: {there} finished before, {missing} to do, {min(len(planned.devices), missing)} workers", markup=False)
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

    def kept() -> str:
        return f"{len(planned.names) - len(planned.missing)} of {len(planned.names)} folds are kept; the same command goes on from there"

    with interruptible(kept), (tracker or tracker_of("off", None)).telling(planned.run, planned.request, planned.provenance) as told:
        with Progress(*columns, console=screen, disable=not missing) as progress, contextlib.closing(run.execute(planned)) as events:
            bar = progress.add_task(planned.request.method, total=len(planned.names), completed=there, state=state())
            for event in events:
                heed()
                told.begin()
                if isinstance(event, workers.Progress):
                    shares[event.task] = event.share
                elif isinstance(event, workers.Finished):
                    shares[event.task] = 1.0
                    done += 1
                    _say_line(screen, done, len(planned.names), planned.told(event.task), event.cost.seconds)
                    told.fold(event.result, event.cost.seconds)
                else:
                    shares.pop(event.task, None)
                    what = "is tried once more" if event.again else "has failed"
                    screen.print(f"fold {planned.name(event.task)} {what}: {event.reason}", markup=False)
                    failed += [] if event.again else [event]
                progress.update(bar, completed=there + sum(shares.values()), state=state())
        row = row_of(planned.run)
        told.row(planned.run, row)
        told.code = 1 if failed else 0
        if row.readings and alone:
            show_row(row, planned.run.path)
        finished = planned.run.finished() if planned.save_weights else set()
        without = [name for name in planned.names if name in finished and not planned.run.weights_path(name).is_file()]
        if without:
            screen.print(
                f"{len(without)} folds were finished before without weights, {without[0]} first: delete their fold files to train them again",
                markup=False,
            )
    if not failed:
        return 0
    if done < len(planned.names) - len(failed):
        screen.print("given up: the first folds all failed and none has finished; the rest was not tried", markup=False)
    screen.print(
        f"{len(failed)} fold{'s' if len(failed) > 1 else ''} failed, {done} of {len(planned.names)} are kept: {planned.run.path}",
        markup=False,
    )
    if any(event.trace for event in failed):
        screen.print(f"what went wrong, fold by fold: {planned.run.path / 'failures'}", markup=False)
    return 1


def _say_line(screen: Console, done: int, total: int, held_out: str, seconds: float) -> None:
    """Where there is no terminal to draw a bar on, print a line for each tenth of the folds."""
    if not screen.is_terminal and (done == total or done * 10 // total > (done - 1) * 10 // total):
        screen.print(f"{done} of {total} folds (without {held_out}, {seconds:.1f} s)", markup=False)
