"""merbench published and possible: what papers print, and whether it can be true. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.board.feasible import Printed


def published(
    method: Annotated[str | None, typer.Argument(help="A method as its paper calls it, or ours; left out: all.")] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Read cells that cannot be true otherwise too: cut off, exchanged, as precision. About half a minute."
        ),
    ] = False,
) -> None:
    """Show scores as papers print them, with source, how the epoch was chosen, and what arithmetic says of them."""
    from rich.console import Console
    from rich.table import Table

    from merbench.board.flags import flagged
    from merbench.board.published import ours
    from merbench.board.published import published as everything
    from merbench.registry import nearest

    known = {name: each.method for name, each in ours().items()}
    shown = dict.fromkeys(each.method for each in everything() if each.shown)
    asked = [name for name in shown if method is None or method.lower() in (name.lower(), known.get(name))]
    if not asked:
        raise UserError(f"no published score of '{method}' is known", remedy=nearest(method or "", (*shown, *known.values())))
    found = [each for each in flagged(tuple(asked) if check else ()) if each.one.method in asked]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("method", "protocol", "part", "UF1", "UAR", "acc.", "F1", "epoch", "cannot be"):
        table.add_column(
            name, no_wrap=name not in ("method", "cannot be"), justify="right" if name in ("UF1", "UAR", "acc.", "F1") else "left"
        )
    for each in found:
        one = each.one
        numbers = (one.printed.get(name, "") for name in ("uf1", "uar", "accuracy", "f1"))
        table.add_row(
            one.method, one.protocol, one.part, *numbers, one.selection, "; ".join(each.flags), style="bold" if each.flags else None
        )
    console.print(table)
    for text in dict.fromkeys(_told(each.one.method, each.one.part, *each.remarks) for each in found if each.remarks):
        console.print(text, style="dim", soft_wrap=True, markup=False)
    for each in found:
        if each.one.note:
            console.print(_told(each.one.method, each.one.part, each.one.note), style="dim", soft_wrap=True, markup=False)
        if each.one.status == "second-hand":
            console.print(
                _told(each.one.method, each.one.part, "second-hand, " + each.one.source), style="dim", soft_wrap=True, markup=False
            )
    for source in dict.fromkeys(each.one.source for each in found):
        console.print(f"source: {source}", style="dim", soft_wrap=True, markup=False)
    many = sum(bool(each.flags) for each in found)
    console.print(
        f"{many} of {len(found)} rows cannot be what they are called: no judgement of whole clips has these scores (means over runs need not be of "
        f"whole clips). {'' if check else '--check reads them otherwise too. '}epoch: last, oracle (chosen on the held-out subjects) or unknown.",
        style="dim",
        soft_wrap=True,
    )


def _told(method: str, part: str, *words: str) -> str:
    return f"{method} on {part}: {'; '.join(words)}"


def possible(
    uf1: Annotated[str | None, typer.Option(help="As printed, with all its places: 0.8603 or 86.03%.")] = None,
    uar: Annotated[str | None, typer.Option(help="As printed.")] = None,
    accuracy: Annotated[str | None, typer.Option(help="As printed.")] = None,
    on: Annotated[str, typer.Option(help="Databases whose clips are judged.")] = "3db",
    scheme: Annotated[str | None, typer.Option(help="Which classes; left out: megc3, or the first of the database.")] = None,
    counts: Annotated[str | None, typer.Option(help="Clips of each class instead: 70/51/43.")] = None,
) -> None:
    """Tell whether printed scores can be true together: is there a confusion matrix of whole clips that has them all?"""
    from merbench.board.feasible import judge

    asked = {"UF1": uf1, "UAR": uar, "accuracy": accuracy}
    scores = {name: _score(name, text) for name, text in asked.items() if text is not None}
    if not scores:
        raise UserError("no score was given", where="merbench possible", remedy="merbench possible --on casme2 --uf1 0.8382 --uar 0.8686")
    classes, where = _classes(on, scheme, counts)
    verdict = judge(tuple(classes.values()), scores.get("UF1"), scores.get("UAR"), scores.get("accuracy"))
    typer.echo(f"{where}: {sum(classes.values())} clips, {', '.join(f'{clips} of {name}' for name, clips in classes.items())}")
    said = " with ".join(f"{name} {score.text}" for name, score in scores.items())
    if verdict.possible is None:
        typer.echo(f"{said}: cannot be told; {verdict.why}")
    elif not verdict.possible:
        typer.echo(f"{said}: impossible for one judgement of every clip; {verdict.why}")
        raise typer.Exit(1)
    else:
        typer.echo(f"{said}: possible{'' if len(scores) == 1 else ' together'}")
    if verdict.uf1 is not None:
        typer.echo(f"the other scores leave UF1 between {verdict.uf1[0]:.4f} and {verdict.uf1[1]:.4f}")
    if verdict.matrix is not None:
        typer.echo("for instance (rows true, columns predicted):")
        width = len(str(verdict.matrix.max()))
        for name, row in zip(classes, verdict.matrix.tolist(), strict=True):
            typer.echo(f"  {' '.join(str(count).rjust(width) for count in row)}  {name}")


def _score(name: str, text: str) -> Printed:
    from merbench.board.feasible import printed

    try:
        return printed(text.strip())
    except ValueError as error:
        raise UserError(
            str(error), where=f"--{name.lower()} {text[:40]}", remedy="copy it from the paper: --uf1 0.8603, or --uf1 86.03%"
        ) from error


def _classes(on: str, scheme: str | None, counts: str | None) -> tuple[dict[str, int], str]:
    """Return class names to clips, and what they are of.

    Raises:
        UserError: what was asked for is unknown.
    """
    import re

    from merbench.board.flags import class_counts
    from merbench.data import databases, schemes

    if counts is not None:
        numbers = [each.strip() for each in re.split("[/,]", counts)]
        if not all(re.fullmatch("[0-9]{1,4}", each, re.ASCII) and int(each) for each in numbers) or not 2 <= len(numbers) <= 7:
            raise UserError(
                "these are no numbers of clips",
                where=f"--counts {counts[:60]}",
                remedy="one number a class, of two to seven classes with fewer than 10,000 clips each: --counts 70/51/43",
            )
        return {f"class {index}": int(each) for index, each in enumerate(numbers, 1)}, "your classes"
    if scheme is None:
        named = databases.databases_of(on)
        scheme = next((name for name in ("megc3", *schemes.whole_of(named[0])) if set(named) <= set(schemes.databases(name))), "megc3")
    return class_counts(scheme, on), f"{on}, {scheme}"
