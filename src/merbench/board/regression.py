"""Whether a request that was trained anew still scores what a baseline says.

A baseline is a folder with ``requests.yaml`` and one archive (`merbench.board.archive`) of each request. What must be equal everywhere, whatever
computes: which clips, seeds and true classes there are, the request itself. What must be equal where processor and versions are those of the
baseline (`merbench.board.machine`): every bit of every prediction. Elsewhere scores may move by what seeds alone move them
(`merbench.board.spread`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from merbench import guard
from merbench.board import spread
from merbench.board.archive import Archive
from merbench.errors import UserError
from merbench.registry import nearest

REQUESTS = "requests.yaml"

LARGEST = 2**16
"""Bytes of ``requests.yaml``."""

MEASURED = 0.1
"""By so much, and by this share of it, the median of what a method measures beside classes may move, such as its displacement's correlation
with TV-L1: a flow with the wrong sign leaves many a score as it was."""


@dataclass(frozen=True)
class Pinned:
    """A small request that is trained anew at every check, as ``merbench bench`` is asked for it."""

    method: str
    databases: str
    source: str
    scheme: str
    preset: str
    seeds: int
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What was found of one archive or request.

    Attributes:
        name: of the file or request.
        what: ``predictions`` that were scored again, or ``training``.
        before, now: UF1 of the baseline and now, each a mean over seeds.
        allowed: by so much it may move; None where nothing may.
        moved: what moved, in words; empty where all is well.
        told: what else there is to say, such as that this is another processor.
    """

    name: str
    what: str
    before: float
    now: float
    allowed: float | None
    moved: tuple[str, ...]
    told: str = ""


def requests(folder: Path) -> dict[str, Pinned]:
    """Return the requests of a baseline by name.

    Raises:
        UserError: there is no such file, or it says what no request says.
    """
    path = folder / REQUESTS
    kinds: dict[str, Any] = {
        **dict.fromkeys(("method", "databases", "source", "scheme", "preset"), str),
        "seeds": int,
        "overrides": list[str],
    }
    try:
        found = {}
        for name, raw in guard.parse_table(guard.read(path, LARGEST)).items():
            checked = guard.checked({"overrides": [], **raw} if isinstance(raw, dict) else raw, kinds)
            if not 1 <= checked["seeds"] <= 100:
                raise ValueError(f"{name} has {checked['seeds']} seeds")
            found[guard.plain(name)] = Pinned(**{**checked, "overrides": tuple(checked["overrides"])})
        if not found:
            raise ValueError("there is no request in it")
        return found
    except (OSError, ValueError, TypeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UserError(f"a baseline cannot be read: {reason}", where=path, remedy="name the folder of another: --baseline") from error


def chosen(all_of: dict[str, Pinned], only: Sequence[str], where: Path) -> dict[str, Pinned]:
    """Return the requests that are asked for; all where none is named.

    Raises:
        UserError: one is not in the baseline.
    """
    for name in only:
        if name not in all_of:
            raise UserError(f"the baseline has no request '{name[:60]}'", where=where, remedy=nearest(name, all_of))
    return {name: pinned for name, pinned in all_of.items() if not only or name in only}


def compared(name: str, before: Archive, now: Archive, unlike: str = "") -> Verdict:
    """Hold a request that was trained anew against its baseline.

    Args:
        name: of the request.
        before, now: the baseline, and what was trained.
        unlike: how this machine differs from the baseline's; where it does not, every bit must be the same.
    """
    moved = _other_request(before, now, data=not unlike)
    others = [what for what in ("clips", "classes", "seeds") if getattr(before, what) != getattr(now, what)]
    if others:
        moved.append(f"{' and '.join(others)} are others: {_counts(before)}, now {_counts(now)}")
    else:
        moved += _other_truth(before, now)
        if not unlike and not np.array_equal(before.probabilities, now.probabilities):
            moved.append(_predictions(before, now))
    allowed, then, found = spread.allowed(before), spread.counted(before), spread.counted(now)
    for what in () if others else then:
        one, two = float(np.mean(then[what])), float(np.mean(found[what]))
        if not np.isclose(one, two, rtol=0, atol=allowed[what], equal_nan=True):
            moved.append(f"{what} {one:.4f}, now {two:.4f}: more than the {allowed[what]:.3f} that seeds move it by")
    for what, measured in before.row["measures"].items():
        value = now.row["measures"].get(what, np.nan)
        if not np.isclose(measured, value, rtol=MEASURED, atol=MEASURED):
            moved.append(f"{what}: {measured:.3f}, now {value:.3f}")
    told = f"scores alone are compared, not bits: {unlike}" if unlike else ""
    return Verdict(name, "training", float(np.mean(then["UF1"])), float(np.mean(found["UF1"])), allowed["UF1"], tuple(moved), told)


def _counts(kept: Archive) -> str:
    return f"{len(kept.clips)} clips, {len(kept.classes)} classes, seeds {', '.join(map(str, kept.seeds))}"


def _other_truth(before: Archive, now: Archive) -> list[str]:
    """Return which clips have another true class; both have the same clips and classes."""
    other = np.flatnonzero(before.truth != now.truth)
    if not len(other):
        return []
    first = other[0]
    one, two = before.classes[before.truth[first]], now.classes[now.truth[first]]
    return [f"{len(other)} clip{'s have' if len(other) > 1 else ' has'} another true class: {before.clips[first]} {one}, now {two}"]


def _other_request(before: Archive, now: Archive, data: bool) -> list[str]:
    """Return what is other in a request: its settings, the version of its results, its annotations and, where bits count, its data."""
    one, two = before.provenance, now.provenance
    names = []
    if one["data"]["annotations"] != two["data"]["annotations"]:
        names.append("annotations are others")
    if data and one["data"]["fingerprint"] != two["data"]["fingerprint"]:
        names.append("prepared data (faces, flow, labels) are others")
    if one["results_versions"] != two["results_versions"]:
        names.append(f"results_versions {one['results_versions']}, now {two['results_versions']}")
    lines = before.request.splitlines()
    changed = [line.strip() for line in now.request.splitlines() if line not in lines]
    return [*names, f"the request is another: now {'; '.join(changed[:4])}"] if changed else names


def _predictions(before: Archive, now: Archive) -> str:
    other = (before.probabilities != now.probabilities).any(-1)
    flipped = int((before.predicted != now.predicted).sum())
    largest = float(np.abs(before.probabilities - now.probabilities).max())
    return f"predictions are not bit for bit the same: {int(other.sum())} of {other.size} (by at most {largest:.2g}), {flipped} of another class"


def markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the table of a check, as a job's summary shows it."""
    lines = ["| | what | baseline UF1 | now | may move by | |", "| --- | --- | --- | --- | --- | --- |"]
    for verdict in verdicts:
        result = "; ".join(verdict.moved) or ("the same" if verdict.before == verdict.now else "within what seeds move")
        may = "0" if verdict.allowed is None else f"{verdict.allowed:.3f}"
        mark = "**moved**: " if verdict.moved else ""
        cells = (verdict.name, verdict.what, f"{verdict.before:.4f}", f"{verdict.now:.4f}", may, f"{mark}{result}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    told = sorted({verdict.told for verdict in verdicts if verdict.told})
    return "\n".join([*lines, *([""] if told else []), *told, ""])
