"""merbench doctor: a copy looked at clip by clip."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from merbench.cli.asked import ApexOption, FaceOption
from merbench.cli.progress import watching
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.data.copies import Database
    from merbench.data.doctor import Report

TOLD = 8
"""So many clips of a kind are named; --json names all."""

SHOWN = 12
"""Clips on a contact sheet."""


def doctor(
    database: Annotated[
        str | None, typer.Argument(metavar="[DATABASE]", help="smic, casme2, ...; left out: all that merbench reads.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="frames or synthetic. Left out: your copy, else a rendered one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that was found, every clip named.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw clips there (PNG): onset with landmarks, apex, flow. It shows faces: keep it to yourself.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, max=100, help="So many clips on the contact sheet, of as many people as there are.")] = SHOWN,
    read: Annotated[bool, typer.Option(help="Read every frame that preparation would; with --no-read only names are looked at.")] = True,
    face: FaceOption = "aligned",
    apex: ApexOption = "middle",
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes. Left out: one per core.")] = None,
) -> None:
    """Look at a copy of a database clip by clip: exit code 1 where clips are missing or cannot be used."""
    from merbench.data import databases, places
    from merbench.registry import nearest

    if source is not None:
        places.check_source(source)
        if source not in (places.FRAMES, places.SYNTHETIC):
            raise UserError(f"{source} is no copy of a database", where=f"--source {source}", remedy="use frames or synthetic")
    if database is not None and database not in databases.known():
        raise UserError(f"there is no database '{database}'", remedy=nearest(database, databases.known()))
    if sheet is not None and (database is None or sheet.is_dir() or not sheet.absolute().parent.is_dir()):
        raise UserError("a contact sheet cannot be drawn there", where=sheet.absolute(), remedy="name one database and a PNG file: --sheet")
    wanted = [databases.known()[name] for name in ([database] if database else databases.known())]
    reports: list[Report] = []
    absent: list[Database] = []
    broken: list[UserError] = []
    for each in wanted:
        try:
            found = _report(each.name, source, read, face, apex, workers, named=database is not None)
        except UserError as error:  # what is wrong with one does not hide the others
            if database is not None:
                raise
            broken.append(error)
            continue
        if found is None:
            absent.append(each)
        else:
            reports.append(found)
    if as_json:
        about = [
            {"database": each.name, "title": each.title, "about": each.about, "licence": each.licence, "ask": each.ask} for each in absent
        ]
        typer.echo(json.dumps({"copies": [{**asdict(each), "well": each.well} for each in reports], "not there": about}, indent=1))
    else:
        for report in reports:
            _show(report)
        for each in absent:
            typer.echo(_about(each))
    if sheet is not None:
        _draw(reports[0] if reports else None, sheet, clips, source, face, apex, workers)
    if database is not None and absent:
        raise typer.Exit(2)
    if broken:
        raise UserError(
            broken[0].what if len(broken) == 1 else "\n  ".join(f"{each.what} ({each.where})" for each in broken),
            where=broken[0].where,
            remedy=broken[0].remedy,
        )
    raise typer.Exit(0 if all(report.well for report in reports) else 1)


def _report(
    database: str, source: str | None, read: bool, face: str, apex: Literal["middle", "flow", "table"], workers: int | None, named: bool
) -> Report | None:
    """Return what is found; None where no copy is set up, or where the folder that is set holds another part, and nobody named this one."""
    from merbench.data import databases, load, places
    from merbench.data import doctor as looking

    for each in [source] if source else [places.FRAMES, places.SYNTHETIC]:
        folder = places.place(each, database)
        if folder is None:
            continue
        try:
            chosen = load.own_apexes(places.survey(database, folder, face)[0]) if apex == "table" else apex
            with watching() as watch:
                rendered = each == places.SYNTHETIC
                return looking.examine(database, folder, face=face, apex=chosen, read=read, watch=watch, workers=workers, rendered=rendered)
        except UserError:
            if named or database == databases.known()[database].place:
                raise
    return None


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    table = Table(
        title=f"{report.title}: {report.folder}".replace("[", "\\["), title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")

    def line(name: str, number: int | str, told: str = "", style: str = "") -> None:
        table.add_row(name, f"[{style}]{number}[/]" if style else str(number), told.replace("[", "\\["))

    def clips(name: str, found: tuple[str, ...], bad: bool = False) -> None:
        line(name, len(found), _few(found), ("red" if bad else "yellow") if found else "green")

    line("layout", "", f"{report.layout}{', cropped by its owners' if report.crop else ''}")
    line("sheet", "", _sheets(report.sheets) if report.sheets else "none, and none is needed")
    short = report.rows < report.expected
    line("clips", report.rows, f"of {report.expected} that the owners hand out", "yellow" if short else "")
    line("found", report.found, "with folder, onset, apex and offset", "green" if report.found == report.rows else "yellow")
    clips("missing", report.missing, bad=True)
    clips("unusable", report.unusable, bad=True)
    if report.read:
        clips("unreadable", report.unreadable, bad=True)
    else:
        line("unreadable", "-", "frames were not read")
    clips("duplicates", report.duplicates, bad=True)
    clips("frames not there", report.absent)
    outside = sum(int(each.rsplit(": ", 1)[1]) for each in report.outside)
    line("frames outside the clip", outside, f"in {len(report.outside)} clips; they are not used" if outside else "")
    how = Counter(each.partition(": ")[2] for each in report.repaired)
    line("apex repaired", len(report.repaired), ", ".join(f"{what} ({count} clip{'s' * (count != 1)})" for what, count in how.items()))
    clips("corrections", report.corrections)
    clips("folders without a row", report.strays)
    if report.unlike:
        clips("unlike MEGC2019", report.unlike)
    line("subjects", report.subjects, f"of {report.people}", "yellow" if report.subjects < report.people else "")
    line("classes", len(report.classes), ", ".join(f"{name} {count}" for name, count in report.classes.items()))
    for name, wrong in report.fits.items():
        line(f"scheme {name}", "no" if wrong else "fits", "; ".join(wrong), "yellow" if wrong else "green")
    console.print(table)
    if report.well:
        said = "all clips can be prepared"
    elif report.found == report.rows and not report.duplicates:
        said = f"all clips of the sheet can be prepared; the owners hand out {report.expected}" if report.rows else "there is no clip"
    else:
        said = "some clips cannot be prepared, or stand there twice"
    console.print(said, style="bold")


def _sheets(found: tuple[str, ...]) -> str:
    return f"{found[0]}; besides {', '.join(found[1:])}" if len(found) > 1 else found[0]


def _few(found: tuple[str, ...]) -> str:
    return "; ".join(found[:TOLD]) + (f"; and {len(found) - TOLD} more (--json names them)" if len(found) > TOLD else "")


def _about(database: Database) -> str:
    from merbench.data import places
    from merbench.settings import variable

    folder = places.place(places.FRAMES, database.name)
    if folder is not None:
        return f"{database.title}: not there\n  what: {database.about}\n  {folder} holds none of it; it comes with {database.place} from {database.ask}"
    return (
        f"{database.title}: not there\n  what: {database.about}\n  licence: {database.licence}\n  ask: {database.ask}\n"
        f"  then: merbench data set {database.place} PATH (or the variable {variable(database.place)})"
    )


def _draw(
    report: Report | None,
    path: Path,
    count: int,
    source: str | None,
    face: Literal["aligned", "owner"],
    apex: Literal["middle", "flow", "table"],
    workers: int | None,
) -> None:
    """Prepare some clips, beside everything that is prepared, and draw them."""
    import tempfile

    from merbench.data import contact, load, places, store
    from merbench.data import doctor as looking
    from merbench.data.prepare import prepare
    from merbench.data.schemes import Scheme

    if report is None:
        return
    copy = places.survey(report.database, Path(report.folder), face)[0]
    footage = looking.shown(copy, count, load.own_apexes(copy) if apex == "table" else apex)
    if not footage:
        raise UserError("no clip can be drawn", where=report.folder, remedy=f"see what merbench doctor {report.database} says")
    words = [each.clip.emotion or "none" for each in footage]
    classes = tuple(dict.fromkeys(words))
    labels = {each.clip.key: classes.index(word) for each, word in zip(footage, words, strict=True)}
    scheme = Scheme("sheet", classes, tuple(each.clip for each in footage), labels, "the copy itself")
    with tempfile.TemporaryDirectory(prefix="merbench-") as root, watching() as watch:
        prepared = store.load(prepare(source or places.FRAMES, scheme, footage, face=face, root=Path(root), watch=watch, workers=workers))
        contact.sheet(contact.rows(prepared, range(len(footage))), path)
    typer.echo(f"{len(footage)} clips of {len({each.clip.subject for each in footage})} people are drawn in {path}: it shows faces")
