"""merbench data, datasets and prepare: where data lie, what is in them, and how they are made ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merbench.cli.progress import watching
from merbench.errors import UserError

app = typer.Typer(help="Tell merbench where data lie.", no_args_is_help=True)

ABOUT = {
    "smic": "SMIC-HS, 164 clips, 100 frames a second",
    "casme2": "CASME II, 145 clips in MEGC2019, 200 frames a second",
    "samm": "SAMM, 133 clips in MEGC2019, 200 frames a second, grey",
    "casme3": "CAS(ME)^3 part A, macro-expression clips to pre-train on, 30 frames a second; it is not judged yet",
    "published-flow": "28 x 28 optical-flow images of the 442 MEGC2019 clips, as the authors of STSTNet publish them (relative units)",
    "synthetic": "rendered faces in the databases' layouts: merbench synth",
}


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(help="smic, casme2, samm, casme3, published-flow or synthetic.")],
    path: Annotated[Path, typer.Argument(help="Its folder, as its owners delivered it.")],
) -> None:
    """Remember where data lie, after a look at what is there."""
    from merbench.data import load
    from merbench.registry import nearest
    from merbench.settings import SETTINGS, expand, remember_data_path

    if name not in load.PLACES:
        raise UserError(f"there is no data '{name}' to set", remedy=nearest(name, load.PLACES))
    if not expand(path).is_dir():
        raise UserError("there is no such folder", where=expand(path).absolute(), remedy="name the folder that holds the data")
    folder = expand(path).resolve()
    counts = _counts(name, folder)
    remember_data_path(name, folder)
    typer.echo(f"{name} is remembered in {SETTINGS}: {counts}")
    typer.echo(f"next: {_next(name)}")


@app.command("list")
def list_() -> None:
    """List the data and where they lie."""
    datasets()


def datasets() -> None:
    """Show which data there are, where they lie and how complete they are."""
    from merbench.data import load
    from merbench.settings import data_path, variable

    for name in load.PLACES:
        path = data_path(name)
        if path is None and name == load.SYNTHETIC and any(load.place(name, database) for database in load.READERS):
            path = Path(load.SYNTHETIC)
        if path is None:
            how = "merbench synth DIR" if name == load.SYNTHETIC else f"merbench data set {name} PATH"
            typer.echo(f"{name}: not set up. {how} (or the variable {variable(name)})\n  {ABOUT[name]}")
            continue
        try:
            typer.echo(f"{name}: {path}\n  {_counts(name, path)}")
        except UserError as error:  # what is wrong with one does not hide the others
            typer.echo(f"{name}: {path}\n  cannot be used: {error.what} ({error.where})")


def prepare(
    on: Annotated[
        str, typer.Argument(metavar="DATA", help="smic, casme2, samm, smic+casme2, ..., 3db, or macro: clips to pre-train on.")
    ] = "3db",
    source: Annotated[str | None, typer.Option(help="frames, published-flow or synthetic. Left out: the first that is set up.")] = None,
    scheme: Annotated[str | None, typer.Option(help="Clips and classes. Left out: what the data are good for.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes. Left out: one per core.")] = None,
) -> None:
    """Find faces, align them, compute TV-L1 flow and keep it all. Interrupt it when you like: the same command goes on."""
    from merbench.config import Data
    from merbench.data import load, macro, manifest, store

    if on == macro.PART:
        if scheme is not None:
            raise UserError("macro clips have their owners' seven emotions, in every scheme", where="--scheme", remedy="leave it out")
        with watching() as watch:
            folders: tuple[Path, ...] = (macro.ready(source or macro.set_up(), watch=watch, workers=workers),)
    else:
        source = source if source is not None else load.set_up() or load.FRAMES
        load.check_source(source)
        scheme = scheme or load.scheme_for(source)
        with watching() as watch:
            folders = load.ready(Data(manifest.join(manifest.databases_of(on)), source), scheme, watch=watch, workers=workers)
    for folder in folders:
        prepared = store.load(folder)
        assumed = f", {prepared.assumed}" if prepared.assumed else ""
        typer.echo(f"{prepared.on}: {len(prepared.clips)} clips{assumed}: {folder}")


def _counts(name: str, folder: Path) -> str:
    """Say how complete a folder is.

    Raises:
        UserError: it cannot be used.
    """
    from merbench.data import load, macro, schemes
    from merbench.data.manifest import DATABASES
    from merbench.data.sources import casme3, published_flow

    if name == casme3.NAME:
        return f"{len(macro.real(folder))} macro-expression clips to pre-train on, onset and apex frames found"
    scheme = schemes.scheme(load.scheme_for(load.SYNTHETIC, folder) if name == load.SYNTHETIC else "megc3")
    if name == published_flow.NAME:
        found = published_flow.locate(folder, scheme)
        counts = [f"{d} {sum(c.key in found for c in scheme.select((d,)))} of {len(scheme.select((d,)))}" for d in DATABASES]
        return f"clips with an image: {', '.join(counts)}"
    if name == load.SYNTHETIC:
        beside = ", macro-expression clips to pre-train on" if macro.place(load.SYNTHETIC, folder) else ""
        return load.rendered(folder) + beside
    clips = scheme.select((name,))
    return f"{len(load.real(name, folder, clips))} of {len(clips)} clips of {scheme.name}, onset and apex frames found"


def _next(name: str) -> str:
    from merbench.data import load
    from merbench.data.sources import casme3

    if name == casme3.NAME:
        return "merbench prepare macro"
    if name == load.SYNTHETIC:
        return "merbench bench frl_dgt --source synthetic"
    if name in load.READERS:
        return f"merbench bench frl_dgt --on {name}"
    return f"merbench bench svm_flow --source {name} --on {load.complete(name, 'megc3')}"
