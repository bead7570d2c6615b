"""merbench data and datasets: where data lie, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merbench.errors import UserError

app = typer.Typer(help="Tell merbench where data lie.", no_args_is_help=True)


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(help="A data source: published-flow.")],
    path: Annotated[Path, typer.Argument(help="Its folder.")],
) -> None:
    """Remember where a data source lies, after a look at what is there."""
    from merbench.data import load, manifest, schemes
    from merbench.data.sources import published_flow
    from merbench.settings import SETTINGS, expand, remember_data_path

    load.check_source(name)
    if not expand(path).is_dir():
        raise UserError("there is no such folder", where=expand(path).absolute(), remedy="name the folder that holds the images")
    folder = expand(path).resolve()
    scheme = schemes.scheme("megc3")
    found = published_flow.locate(folder, scheme)
    remember_data_path(name, folder)
    typer.echo(f"{name} is remembered in {SETTINGS}: {_counts(found, scheme)}")
    complete = load.complete(name, "megc3")
    typer.echo(f"next: merbench bench svm_flow --on {complete or manifest.DATABASES[0]}")


@app.command("list")
def list_() -> None:
    """List the data sources and where they lie."""
    datasets()


def datasets() -> None:
    """Show which data there are, where they lie and how complete they are."""
    from merbench.data import load, schemes
    from merbench.data.sources import published_flow
    from merbench.settings import data_path, variable

    scheme = schemes.scheme("megc3")
    for name in load.SOURCES:
        path = data_path(name)
        if path is None:
            typer.echo(f"{name}: not set up. merbench data set {name} PATH (or the variable {variable(name)})")
            typer.echo("  28 x 28 optical-flow images of the 442 MEGC2019 clips, as the authors of STSTNet publish them (relative units)")
            continue
        typer.echo(f"{name}: {path}\n  {_counts(published_flow.locate(path, scheme), scheme)}")


def _counts(found: dict[str, Path], scheme: object) -> str:
    from merbench.data.manifest import DATABASES
    from merbench.data.schemes import Scheme

    assert isinstance(scheme, Scheme)
    counts = [f"{d} {sum(c.key in found for c in scheme.select((d,)))} of {len(scheme.select((d,)))}" for d in DATABASES]
    return f"clips with an image: {', '.join(counts)}"
