"""merbench audit: proof that nothing fitted has seen the held-out subject."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from merbench.cli import asked
from merbench.cli.asked import MacroOption
from merbench.cli.progress import watching
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.engine.findings import Finding

RUNS = Path("runs")


def audit(
    method: Annotated[str, typer.Argument(help="A method's name, or a file of your own: ./my_method.py.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as training.epochs=5.")] = None,
    on: Annotated[str | None, typer.Option(help="Databases: 3db, smic+casme2, ... Left out: every database that is complete.")] = None,
    scheme: Annotated[str | None, typer.Option(help="As for bench.")] = None,
    protocol: Annotated[Literal["loso", "lodo"], typer.Option(help="As for bench.")] = "loso",
    preset: Annotated[Literal["full", "quick"] | None, typer.Option(help="Left out: quick, which runs every module and stage.")] = None,
    source: Annotated[str | None, typer.Option(help="As for bench.")] = None,
    folds: Annotated[
        str,
        typer.Option(help="Folds to train again: a number, all, or who is held out, with commas. Left out: 3, and 8 with permuted labels."),
    ] = "",
    preparation: Annotated[
        bool, typer.Option(help="Prepare a database anew too, with one subject's files replaced, where the database is here.")
    ] = True,
    macro: MacroOption = None,
    workers: Annotated[str, typer.Option(help="Processes: a number, or auto for one per GPU, else per core.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write what was found there too, as JSON.")] = None,
) -> None:
    """Prove that nothing METHOD learns has seen the held-out subject: exit code 1 where a promise is broken.

    The held-out subject's frames, flow, landmarks and labels are replaced, and the fold is trained again: not a bit may change.
    """
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise UserError("the report cannot be written there", where=out.absolute(), remedy="name a file in a folder that is there: --out")
    settled = asked.settle(method, on, scheme, source, workers)
    if len(settled.runs) > 1:
        raise UserError("an audit looks at one set of data", where=f"--on {on}", remedy="name one, or join databases with '+'")

    from merbench.data import store
    from merbench.engine import audit as auditing
    from merbench.engine import run

    with watching({auditing.TRAININGS: "trainings"}) as watch:
        imported = auditing.imports(method, RUNS)
        planned = run.plan(
            method,
            settled.runs[0][0],
            source=settled.source,
            scheme=settled.runs[0][1],
            preset=preset or "quick",
            overrides=overrides or [],
            seeds=1,
            worker_count=settled.workers,
            root=RUNS,
            protocol=protocol,
            watch=watch,
            macro_from=macro or "",
        )
        prepared = store.load(*planned.prepared)
        looked_at = auditing.chosen(prepared, planned.folds, folds, auditing.FOLDS)
        permuted = auditing.chosen(prepared, planned.folds, folds, auditing.PERMUTED)
        if len(permuted) < auditing.PERMUTED:  # too few to tell luck from a leak
            permuted = auditing.chosen(prepared, planned.folds, "", auditing.PERMUTED)
        findings = list(auditing.audit(planned, looked_at, permuted, imported=imported, anew=preparation, watch=watch))
    data = f"{planned.request.data.on}, {planned.request.data.source}, {planned.request.scheme}, {planned.request.protocol}, {planned.request.preset}"
    _show(f"{planned.request.name} on {data}", findings)
    broken = [finding for finding in findings if finding.verdict == "broken"]
    if out is not None:
        about = {"method": planned.request.name, "data": data, "key": planned.provenance.request_key, "commit": planned.provenance.commit}
        _write(out, {**about, "environment": planned.provenance.environment, "findings": [asdict(finding) for finding in findings]})
    raise typer.Exit(1 if broken or findings[0].verdict == "not told" else 0)  # what cannot be trained has proved nothing


def _show(title: str, findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    from merbench.engine.findings import PROMISES

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    table = Table(title=f"audit of {title}".replace("[", "\\["), title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("promise", "fold", "", "what was seen"):
        table.add_column(name, no_wrap=name == "", overflow="fold", header_style="dim")
    style = {"held": "green", "broken": "bold red", "not told": "yellow"}
    for promise, words in PROMISES.items():
        for index, finding in enumerate(each for each in findings if each.promise == promise):
            verdict = f"[{style[finding.verdict]}]{finding.verdict}[/]"
            table.add_row(words if index == 0 else "", finding.subject, verdict, finding.told.replace("[", "\\["))
    console.print(table)
    broken = sum(finding.verdict == "broken" for finding in findings)
    untold = sum(finding.verdict == "not told" for finding in findings)
    console.print(
        f"{len(findings) - broken - untold} held, {broken} broken"
        + (f", {untold} not told" if untold else "")
        + (": what this method scores cannot be trusted" if broken else ""),
        style="bold",
    )


def _write(path: Path, report: dict[str, object]) -> None:
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the report cannot be written: {error.strerror or error}", where=path.absolute(), remedy="name another file: --out"
        ) from error
