"""merbench archive: a run's predictions, request and provenance in one small file. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def archive(
    run: Annotated[str, typer.Argument(help="A run: its key on the board, its folder, or its name where that leaves one.")],
    out: Annotated[Path | None, typer.Option(help="The file to write. Left out: METHOD-KEY.parquet in this folder.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
) -> None:
    """Put RUN's predictions of the last epoch, its request and where it comes from into one small file, to commit or to send with a paper. No frames."""
    from merbench.board import archive as archives
    from merbench.board.naming import find

    found = find(runs, run)
    path = out or Path(f"{found.request.method.partition(':')[0]}-{found.path.name[:8]}.parquet")
    archives.save(found, path)
    kept = archives.read(path)
    uf1, uar = kept.score()
    seeds = f"{len(kept.seeds)} seed{'s' if len(kept.seeds) > 1 else ''}"
    typer.echo(f"{path}: {len(kept.clips)} clips, {seeds}, UF1 {uf1:.4f}, UAR {uar:.4f}, {path.stat().st_size:,} bytes")
