"""merbench data, datasets and prepare: where data lie, what is in them, and how they are made ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from merbench.cli.asked import ApexOption, FaceOption
from merbench.cli.progress import watching
from merbench.errors import UserError

app = typer.Typer(help="Tell merbench where data lie.", no_args_is_help=True)

ABOUT = {
    "published-flow": "28 x 28 optical-flow images of the 442 MEGC2019 clips, as the authors of STSTNet publish them (relative units)",
    "synthetic": "rendered faces in the databases' layouts: merbench synth",
    "expressions": "your own labelled pictures of big expressions, a folder for each emotion, to pre-train on",
    "apex": "your own apexes, a CSV with the columns subject (smic/s01), clip, apex: bench --apex table",
}


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(help="smic, casme2, samm, casme3, expressions, published-flow, synthetic or apex.")],
    path: Annotated[Path, typer.Argument(help="Its folder, as its owners delivered it; of apex a CSV file.")],
) -> None:
    """Remember where data lie, after a look at what is there."""
    from merbench.data import apexes, places
    from merbench.registry import nearest
    from merbench.settings import APEXES, SETTINGS, expand, remember_data_path

    if name not in places.PLACES:
        raise UserError(f"there is no data '{name}' to set", remedy=nearest(name, places.PLACES))
    named = expand(path).absolute()
    if name == APEXES:
        apexes.table(named)
    elif named.is_file():
        raise UserError("that is a file", where=named, remedy=f"name the folder in which it lies: {named.parent}")
    elif not named.is_dir():  # before links are followed: one in a circle cannot be
        raise UserError("there is no such folder", where=named, remedy="name the folder that holds the data")
    folder = named.resolve()
    counts = _counts(name, folder)
    remember_data_path(name, folder)
    typer.echo(f"{name} is remembered in {SETTINGS}: {counts}")
    typer.echo(f"next: {_next(name, folder)}")


@app.command("list")
def list_() -> None:
    """List the data and where they lie."""
    datasets()


def datasets() -> None:
    """Show which data there are, where they lie and how complete they are; of what is not there, what it is and who hands it out."""
    from merbench.data import databases, places
    from merbench.settings import data_path, variable

    for name in places.PLACES:
        path = data_path(name)
        if path is None and name == places.SYNTHETIC and any(places.place(name, database) for database in databases.known()):
            path = Path(places.SYNTHETIC)
        if path is None:
            how = "merbench synth DIR" if name == places.SYNTHETIC else f"merbench data set {name} PATH"
            typer.echo(f"{name}: not set up. {how} (or the variable {variable(name)})\n  {_about(name)}")
            continue
        try:
            typer.echo(f"{name}: {path}\n  {_counts(name, path)}")
        except UserError as error:  # what is wrong with one does not hide the others
            typer.echo(f"{name}: {path}\n  cannot be used: {error.what} ({error.where})")


def _about(name: str) -> str:
    """Return what data are; of a database also its licence and where it is asked for."""
    from merbench.data import databases

    inside = [each for each in databases.known().values() if each.place == name]
    if not inside:
        return ABOUT[name]
    lines = [f"{each.title}: {each.about}" for each in inside]
    return "\n  ".join([*lines, f"licence: {inside[0].licence}", f"ask: {inside[0].ask}"])


def prepare(
    on: Annotated[
        str, typer.Argument(metavar="DATA", help="smic, casme2, samm, smic+casme2, ..., 3db; macro or expressions: to pre-train on.")
    ] = "3db",
    source: Annotated[str | None, typer.Option(help="frames, published-flow or synthetic. Left out: the first that is set up.")] = None,
    scheme: Annotated[str | None, typer.Option(help="Clips and classes. Left out: what the data are good for.")] = None,
    apex: ApexOption = "middle",
    face: FaceOption = "aligned",
    lost: Annotated[
        Literal["borrow", "refuse"],
        typer.Option(help="Clips in which no face is found borrow the landmarks of their subject's other clips, or all are refused."),
    ] = "borrow",
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes. Left out: one per core.")] = None,
) -> None:
    """Find faces, align them, compute TV-L1 flow and keep it all. Interrupt it when you like: the same command goes on."""
    from merbench.config import Data
    from merbench.data import databases, load, macro, places, store
    from merbench.data.prepare import borrowed
    from merbench.data.sources import casme3, expressions

    if on in (macro.PART, expressions.NAME):
        if scheme is not None:
            raise UserError("what is pre-trained on has seven emotions, in every scheme", where="--scheme", remedy="leave it out")
        kind = casme3.NAME if on == macro.PART else expressions.NAME
        with watching() as watch:
            folders: tuple[Path, ...] = (macro.ready(source or macro.set_up(kind), watch=watch, workers=workers, which=kind),)
    else:
        source = source if source is not None else places.set_up() or places.FRAMES
        places.check_source(source)
        whole = databases.databases_of(on)
        scheme = scheme or places.scheme_for(source, whole)
        with watching() as watch:
            folders = load.ready(Data(databases.join(whole), source, apex, face), scheme, watch=watch, workers=workers, lost=lost)
    for folder in folders:
        prepared = store.load(folder)
        assumed = f", {prepared.assumed}" if prepared.assumed else ""
        typer.echo(f"{prepared.on}: {len(prepared.clips)} clips{assumed}: {folder}")
        if without := borrowed(prepared):
            typer.echo(f"  no face found, landmarks are those of the subject's other clips: {', '.join(without)}")


def _counts(name: str, folder: Path) -> str:
    """Say how complete a folder is.

    Raises:
        UserError: it cannot be used.
    """
    from merbench.data import apexes, databases, macro, manifest, places, schemes
    from merbench.data.sources import expressions, published_flow
    from merbench.settings import APEXES

    if name == APEXES:
        return f"{len(apexes.table(folder))} clips"
    if name == published_flow.NAME:
        scheme = schemes.scheme("megc3")
        found = published_flow.locate(folder, scheme)
        counts = [f"{d} {sum(c.key in found for c in scheme.select((d,)))} of {len(scheme.select((d,)))}" for d in manifest.DATABASES]
        return f"clips with an image: {', '.join(counts)}"
    if name == places.SYNTHETIC:
        there = ["macro-expression clips to pre-train on"] if macro.place(places.SYNTHETIC, folder) else []
        there += ["expression pictures to pre-train on"] if macro.place(places.SYNTHETIC, folder, expressions.NAME) else []
        return ", ".join([places.rendered(folder), *there])
    if name == expressions.NAME:
        return macro.real_pictures(folder).told
    places.check_recorded(name, folder)
    inside, faults = [], []
    for each in (each for each in databases.known().values() if each.place == name):
        try:
            copy = places.recorded(each.name, folder)[0]
            usable = sum(entry.folder is not None and not entry.wrong for entry in copy.entries)
            if not usable and name != "casme3":
                raise UserError(
                    f"no clip of {each.title} can be used: its sheet has {len(copy.entries)} rows, {copy.tree.name} none of their folders",
                    where=copy.sheet or copy.tree,
                    remedy="does this sheet belong to these frames? Name the folder as the owners delivered it (docs/data.md)",
                )
            inside.append(f"{each.title}: {usable} of {each.clips} clips" + (f", sheet {copy.sheet.name}" if copy.sheet else ""))
        except UserError as error:
            faults.append(error)
    beside = ""
    if name == "casme3" and macro.describes(folder):
        try:
            beside = f"{len(macro.real(folder))} macro-expression clips to pre-train on"
        except UserError as error:  # its sheet names them, whoever was sent the micro-expressions alone
            faults.insert(0, error)
            beside = "no macro-expression clips to pre-train on" if inside else ""
    if not inside and not beside:
        raise faults[0]
    return "; ".join([*inside, *([beside] if beside else [])])


def _next(name: str, folder: Path) -> str:
    from merbench.data import databases, places
    from merbench.data.sources import expressions
    from merbench.settings import APEXES

    if name == places.SYNTHETIC:
        return "merbench bench frl_dgt --source synthetic"
    if name == APEXES:
        return "merbench bench METHOD --apex table"
    if name == expressions.NAME:
        return "merbench prepare expressions"
    if name not in databases.places():
        return f"merbench bench svm_flow --source {name} --on {places.complete(name, 'megc3')}"
    for each in (each.name for each in databases.known().values() if each.place == name):
        try:
            found = any(entry.folder is not None for entry in places.survey(each, folder)[0].entries)
        except UserError:
            continue
        if not found:
            continue
        return f"merbench doctor {each}, then merbench prepare {each}"
    return "merbench prepare macro" if name == "casme3" else f"merbench doctor {name}"
