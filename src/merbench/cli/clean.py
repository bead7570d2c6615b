"""merbench data clean: what lies in ``prepared/``, and its removal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from merbench.errors import UserError, visible

if TYPE_CHECKING:
    from merbench.data.leftovers import Found


def clean(
    sets: Annotated[bool, typer.Option("--sets", help="Also sets beside which a newer one of the same lies, and damaged ones.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also every other set: the next run makes them again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove sets without asking.")] = False,
) -> None:
    """Show what lies in prepared/, and remove what killed processes left. What a living process works on stays."""
    from merbench.data import leftovers, store

    found = leftovers.look()
    if not found:
        typer.echo(f"there is nothing in {store.ROOT}/")
        return
    whole = [each for each in found if each.removable and not each.leftover and (everything or (sets and each.superseded))]
    if whole and not yes and not dry_run and not sys.stdin.isatty():
        raise UserError(
            f"{_sets(len(whole))} would be removed, and nobody can be asked", where="merbench data clean", remedy="add --yes, or --dry-run"
        )
    going = [each for each in found if each.leftover] + whole
    for folder in dict.fromkeys(each.path.parent for each in found):
        typer.echo(f"{visible(str(folder), keep='')}/")
        for each in (each for each in found if each.path.parent == folder):
            typer.echo(f"  {_line(each, going=each in going)}")
    if whole and not yes and not dry_run:
        typer.echo("a run that reads one of these sets would fail: there should be none")
        if not typer.confirm(f"remove {_sets(len(whole))}, {_bytes(sum(each.size for each in whole))}?"):
            going = [each for each in going if each not in whole]
    if dry_run:
        typer.echo(f"would remove {_things(going)}")
        return
    typer.echo(f"removed {_things(list(leftovers.remove(going)))}")


def _line(found: Found, *, going: bool) -> str:
    clips = "" if found.clips is None else f"{found.clips} clips"
    return f"{visible(found.path.name, keep=''):<44} {found.kind:<15} {clips:>9} {_bytes(found.size):>9}  {_fate(found, going=going)}"


def _fate(found: Found, *, going: bool) -> str:
    """Say what becomes of a thing, and why."""
    if going:
        return "left by a process that is gone: to be removed" if found.leftover else "to be removed"
    if found.held:
        return "a process works on it: left alone"
    if found.kind in ("link", "not of merbench"):
        return "left alone"
    reason = "damaged" if found.kind == "damaged set" else "a newer one lies beside it"
    return f"{reason}: --sets removes it" if found.superseded else ""


def _things(found: list[Found]) -> str:
    if not found:
        return "nothing"
    left = sum(each.leftover for each in found)
    parts = [*([f"{left} leftover{'' if left == 1 else 's'}"] if left else []), *([_sets(len(found) - left)] if len(found) > left else [])]
    return f"{' and '.join(parts)}, {_bytes(sum(each.size for each in found))}"


def _sets(count: int) -> str:
    return f"{count} set{'' if count == 1 else 's'}"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
