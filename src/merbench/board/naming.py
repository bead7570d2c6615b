"""Which run is meant: by its folder, the beginning of its key, or its name where that leaves one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from merbench.board.versions import Version, numbers, sources, superseded
from merbench.config import Request
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.results import Run, runs_in

MOST = 20
"""Runs that a message lists."""


@dataclass(frozen=True)
class Known:
    """A run, as far as it can be read: one bad run does not hide the others, and by its key it is found, and its fault told.

    Attributes:
        request: None where it cannot be read.
        data: the hash of its clips and arrays; empty where its provenance cannot be read.
        versions: of method, engine and how clips are served; empty as ``data``.
        sources: of which it is made, as `versions.sources` has them; empty as ``data``.
        seeds: how many have all their folds.
    """

    run: Run
    request: Request | None
    data: str
    versions: tuple[int, ...]
    sources: tuple[str, ...]
    seeds: int

    @property
    def table(self) -> tuple[str, ...]:
        """Return what runs share that may be ranked with one another."""
        asked = self.request
        return (self.data, asked.data.on, asked.data.source, asked.scheme, asked.protocol, asked.preset) if asked else ()

    @property
    def version(self) -> Version:
        """Return what decides whether it replaces another run."""
        return Version((self.request.name if self.request else "", *self.table), self.versions, self.sources, self.seeds > 0)

    @property
    def told(self) -> str:
        """Return ``1a2b3c4d  featref on smic+casme2, published-flow, megc3, loso, full, 3 seeds, method version 1``."""
        if self.request is None:
            return f"{self.run.path.name[:8]}  cannot be read"
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}" if self.seeds else "not finished"
        of = (*self.table[1:], seeds, *(f"method version {each}" for each in self.versions[:1]))
        return f"{self.run.path.name[:8]}  {self.request.name} on {', '.join(of)}"


def find(root: Path, named: str, fits: Callable[[Run], bool] | None = None) -> Run:
    """Return the run with this folder, beginning of a key, or name.

    Where several have a name, those that a later version supersedes are not meant, nor those that do not fit.

    Args:
        root: the folder of all runs.
        named: what somebody calls it.
        fits: whether a run can be meant; asked where several are called so.

    Raises:
        UserError: none or several have it.
    """
    if (folder := _folder(root, named)) is not None:
        return folder
    known = _known(root)
    found = _called(known, named)
    meant = [each for each in found if fits(each.run)] if fits and len(found) > 1 else found
    return meant[0].run if len(meant) == 1 else _refuse(root, named, meant or found, known, "" if meant else ", and none of them fits")


def find_two(root: Path, first: str, second: str) -> tuple[Run, Run]:
    """Return two runs. Where a name leaves several, of those that are finished the one pair of a table is meant, or else that on the same clips.

    Raises:
        UserError: none or several are meant.
    """
    known = _known(root)
    sides = []
    for named in (first, second):
        folder = _folder(root, named)
        found = _called(known, named) if folder is None else [_read(folder)]
        sides.append([each for each in found if each.seeds] or found or _refuse(root, named, found, known))
    pairs = [(a, b) for a in sides[0] for b in sides[1] if a.run.path.resolve() != b.run.path.resolve()]
    for alike in (
        pairs,
        [pair for pair in pairs if _clips(pair[0]) == _clips(pair[1])],
        [pair for pair in pairs if pair[0].table == pair[1].table],
    ):
        if len(alike) == 1:
            return alike[0][0].run, alike[0][1].run
    if len(sides[0]) == len(sides[1]) == 1:  # a run against itself
        return sides[0][0].run, sides[1][0].run
    several = 0 if len(sides[0]) > 1 else 1
    return _refuse(root, (first, second)[several], sides[several], known)


def _clips(known: Known) -> tuple[str, ...]:
    return known.table[:4]


def _folder(root: Path, named: str) -> Run | None:
    for folder in (Path(named), root / named):
        with contextlib.suppress(OSError):  # a name longer than the disk has is none of a folder
            if named and (folder / "request.yaml").is_file():
                return Run(folder.absolute())
    return None


def _known(root: Path) -> list[Known]:
    return [_read(run) for run in runs_in(root)]


def _read(run: Run) -> Known:
    request, data, versions, made_of, seeds = None, "", tuple[int, ...](), tuple[str, ...](), 0
    with contextlib.suppress(UserError):
        request = run.request
        provenance = run.provenance
        data = provenance.data["fingerprint"]
        versions, made_of = numbers(provenance.results_versions), sources(provenance)
        finished = run.finished()
        begun = {int(name.rsplit("--s", 1)[1]) for name in finished}
        seeds = sum(finished.issuperset(fold_name(each, seed) for each in provenance.folds) for seed in begun)
    return Known(run, request, data, versions, made_of, seeds)


def _called(known: Sequence[Known], named: str) -> list[Known]:
    """Return the runs whose key begins so, and those with this name, or where none has it those of this method; not what a later version has replaced."""
    asked = [(each, each.request) for each in known if each.request is not None]
    found = [each for each, request in asked if request.name == named] or [each for each, request in asked if request.method == named]
    replaced = superseded([each.version for each in found])
    by_key = [each for each in known if named and each.run.path.name.startswith(named)]
    return [*by_key, *(each for each, old in zip(found, replaced, strict=True) if not old and each not in by_key)]


def _refuse(root: Path, named: str, found: Sequence[Known], known: Sequence[Known], why: str = "") -> NoReturn:
    """Say which runs there are.

    Raises:
        UserError: always.
    """
    listed = [each.told for each in (found or known)]
    more = f"\n  and {len(listed) - MOST} more: merbench leaderboard" if len(listed) > MOST else ""
    raise UserError(
        f"{len(found)} runs are called or begin with '{named}'{why}" if found else f"there is no run '{named[:60]}'",
        where=root.absolute(),
        remedy="name one by its key:\n" + "\n".join(f"  {each}" for each in listed[:MOST]) + more
        if listed
        else "merbench bench makes runs",
    )
