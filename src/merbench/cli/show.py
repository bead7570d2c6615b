"""One row as a person reads it in a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from merbench.board.columns import duration, interval, number
from merbench.board.readings import Score
from merbench.board.render import heading
from merbench.board.rows import Row
from merbench.scores import RANKED

NAMES = {"last": "last epoch", "inner": "inner epoch", "oracle-subject": "oracle, per subject", "oracle-epoch": "oracle, one epoch"}


def show_row(row: Row, folder: Path) -> None:
    """Print a run's scores to standard output: what counts first, what does not count after it, each with its chance."""
    console = Console(highlight=False)
    console.print(f"\n[bold]{_safe(row.method)}[/] on {_safe(heading(row))}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("reading", "UF1", "95 % interval", "UAR", "accuracy", "chance UF1"):
        table.add_column(name, justify="left" if name == "reading" else "right", no_wrap=True)
    last = row.readings["last"]
    table.add_row("[bold]last epoch[/]", f"[bold]{number(last.uf1)}[/]", *_rest(last))
    if len(last.parts) > 1:
        for database, (uf1, uar, accuracy) in last.parts.items():
            table.add_row(f"  {database}", number(uf1), "", number(uar), number(accuracy), "")
    if "inner" in row.readings and row.epochs > 1:
        table.add_row(NAMES["inner"], number(row.readings["inner"].uf1), *_rest(row.readings["inner"]))
    oracles = [name for name in row.readings if name not in RANKED]
    for name in oracles:
        table.add_row(NAMES[name], number(row.readings[name].uf1), *_rest(row.readings[name]), style="dim")
    console.print(table)
    if "inner" in row.readings and row.epochs > 1:
        console.print(
            "inner: the epoch was chosen on training subjects, by trainings that left them out; ranked apart", style="dim", soft_wrap=True
        )
    if oracles:
        console.print("oracle: the epoch was chosen on the held-out subjects; never ranked", style="dim", soft_wrap=True)
    console.print(_facts(row), style="dim", soft_wrap=True)
    for line in _told(row):
        console.print(_safe(line), style="dim", soft_wrap=True)
    console.print(f"kept in {_safe(str(folder))}; all rows: merbench leaderboard", style="dim", soft_wrap=True)


def _rest(score: Score) -> tuple[str, ...]:
    chance = f"{score.chance_uf1:.2f} ± {score.chance_uf1_sd:.2f}"
    return (interval(score.uf1_interval), number(score.uar), number(score.accuracy), chance)


def _facts(row: Row) -> str:
    seeds = f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''}"
    epochs = f"{row.epochs} epochs" if row.epochs > 1 else "closed form or one epoch"
    parameters = f"{row.parameters:,} parameters" if row.parameters else "no trained parameters"
    memory = f"{row.peak_mib:,.0f} MiB at most in a worker" if row.peak_mib else "memory unknown"
    return f"{seeds}, {epochs}, {parameters}, {duration(row.seconds)} a fold, {memory}"


def _told(row: Row) -> list[str]:
    """Return what the method measured on held-out clips, and what was assumed about clips."""
    lines = [f"{name}: {value:.3f}" for name, value in row.measures.items()]
    told = ["held-out clips, medians: " + ", ".join(lines)] if lines else []
    told.append(f"annotations {row.annotations[:6]}: of clips, classes and frame numbers")
    return [*told, f"assumed: {row.assumed}"] if row.assumed else told


def _safe(text: str) -> str:
    return text.replace("[", "\\[")
