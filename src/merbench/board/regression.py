"""Whether scores moved: committed predictions scored again, and small requests trained anew held against a baseline.

A baseline is a folder with ``requests.yaml`` and one archive (`merbench.board.archive`) of each request. What must be equal everywhere, whatever
computes: which clips there are, their true classes, the request itself. What must be equal where processor and versions are those of the
baseline: every bit of every prediction. Elsewhere scores may move by what seeds alone move them: `allowed`.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from merbench import guard, scores
from merbench.board import archive
from merbench.board.archive import Archive
from merbench.board.joined import Table
from merbench.board.readings import score_of
from merbench.data import schemes
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.results import DECISIVE

REQUESTS, PLATFORM = "requests.yaml", "platform.yaml"
PREPARING = ("opencv-contrib-python-headless", "dlib-bin", "face-recognition-models")
"""Packages beside `merbench.results.DECISIVE` that have a hand in what is learnt from."""

LARGEST = 2**16
"""Bytes of ``requests.yaml``."""

LEAST = 0.01
"""Scores may move by so much where seeds do not move them at all: a clip or two on the edge of a closed form, in other arithmetic."""

WIDTH = 3.0
"""Standard deviations of the difference of two means over seeds. Three requests with five scores each: a false alarm in some twenty checks."""

MEASURED = 0.1
"""By so much, and by this share of it, the median of what a method measures beside classes may move, such as its displacement's correlation
with TV-L1: a flow with the wrong sign leaves many a score as it was."""

EXACT = 1e-12
"""What is counted from the same predictions by the same code differs by rounding at most."""


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


def rescored(path: Path, name: str) -> Verdict:
    """Score the predictions of one archive again: truth against its scheme's list, every number against the one that was kept.

    Raises:
        UserError: the archive cannot be read.
    """
    kept = archive.read(path)
    last = kept.row["readings"]["last"]
    clips = np.array(kept.clips)
    subjects = np.array([clip.rsplit("/", 1)[0] for clip in kept.clips])
    databases = np.array([clip.partition("/")[0] for clip in kept.clips])
    now = score_of("last", [Table(clips, subjects, databases, kept.truth, each[None]) for each in kept.predicted], len(kept.classes))
    pairs = {
        "UF1": (last["uf1"], now.uf1),
        "UAR": (last["uar"], now.uar),
        "accuracy": (last["accuracy"], now.accuracy),
        **{
            f"interval of {score}": (last[f"{score.lower()}_interval"], now_of)
            for score, now_of in (("UF1", now.uf1_interval), ("UAR", now.uar_interval))
        },
        **{f"UF1, UAR, accuracy of {part}": (last["parts"].get(part), found) for part, found in now.parts.items()},
    }
    moved = [f"{what}: {_words(then)}, now {_words(found)}" for what, (then, found) in pairs.items() if not _same(then, found)]
    if last["confusion"] != now.confusion:
        moved.append(f"confusion: {last['confusion']}, now {now.confusion}")
    each = [scores.averages(kept.truth, row, subjects, databases, len(kept.classes)) for row in kept.predicted]
    for average, then in kept.row["averages"].items():
        found = float(np.mean([one[average] for one in each]))
        if not _same(then, found):
            moved.append(f"{average}: {_words(then)}, now {_words(found)}")
    return Verdict(name, "predictions", last["uf1"], now.uf1, None, (*_relabelled(kept), *moved))


def _relabelled(kept: Archive) -> list[str]:
    """Return which clips have another class in their scheme than in an archive."""
    scheme = kept.row["scheme"]
    if not schemes.is_listed(scheme):
        return []
    listed = schemes.scheme(scheme)
    truth = {clip: kept.classes[label] for clip, label in zip(kept.clips, kept.truth.tolist(), strict=True)}
    known = {clip: listed.classes[label] for clip, label in listed.labels.items() if clip in truth}
    wrong = [clip for clip in truth if known.get(clip) != truth[clip]]
    return (
        [f"{len(wrong)} clips have another class in {scheme}: {wrong[0]} was {truth[wrong[0]]}, is {known.get(wrong[0])}"] if wrong else []
    )


def compared(name: str, before: Archive, now: Archive, unlike: str = "") -> Verdict:
    """Hold a request that was trained anew against its baseline.

    Args:
        name: of the request.
        before, now: the baseline, and what was trained.
        unlike: how this machine differs from the baseline's; where it does not, every bit must be the same.
    """
    moved = _other_request(before, now, data=not unlike)
    truth = [{clip: kept.classes[label] for clip, label in zip(kept.clips, kept.truth.tolist(), strict=True)} for kept in (before, now)]
    if truth[0] != truth[1]:
        other = sorted(clip for clip in truth[0].keys() | truth[1].keys() if truth[0].get(clip) != truth[1].get(clip))
        moved.append(f"{len(other)} clips have another true class: {other[0]} {truth[0].get(other[0])}, now {truth[1].get(other[0])}")
    fits = before.clips == now.clips and before.classes == now.classes and before.seeds == now.seeds
    if not unlike and (not fits or not np.array_equal(before.probabilities, now.probabilities)):
        moved.append(_predictions(before, now) if fits else "clips, classes or seeds are others")
    one, two = (_scores(kept) for kept in (before, now))
    worst = 0.0
    for what in one.keys() & two.keys():
        tolerance = allowed(one[what])
        worst = max(worst, tolerance) if what == "UF1" else worst
        if abs(np.mean(one[what]) - np.mean(two[what])) > tolerance:
            moved.append(
                f"{what} {np.mean(one[what]):.4f}, now {np.mean(two[what]):.4f}: more than the {tolerance:.3f} that seeds move it by"
            )
    for what, then in before.row["measures"].items():
        found = now.row["measures"].get(what, np.nan)
        if not np.isclose(then, found, rtol=MEASURED, atol=MEASURED):
            moved.append(f"{what}: {then:.3f}, now {found:.3f}")
    told = f"scores alone are compared, not bits: {unlike}" if unlike else ""
    return Verdict(name, "training", float(np.mean(one["UF1"])), float(np.mean(two["UF1"])), worst, tuple(moved), told)


def allowed(by_seed: Sequence[float]) -> float:
    """Return by how much a score may move where bits may: three standard deviations of the difference of two means over as many seeds.

    Args:
        by_seed: the baseline's scores.
    """
    if len(by_seed) < 2:
        return LEAST
    return max(LEAST, WIDTH * float(np.std(by_seed, ddof=1)) * float(np.sqrt(2 / len(by_seed))))


def _scores(kept: Archive) -> dict[str, list[float]]:
    """Return UF1, UAR and the F1 of each class by seed: swapped classes have the same UF1."""
    matrices = scores.confusion(kept.truth, kept.predicted, len(kept.classes))
    f1 = scores.f1(matrices, absent=0.0)
    return {
        "UF1": scores.uf1(matrices).tolist(),
        "UAR": scores.uar(matrices).tolist(),
        **{f"F1 of {name}": f1[:, index].tolist() for index, name in enumerate(kept.classes)},
    }


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


def platform_here() -> dict[str, str]:
    """Return what may decide bits on this machine: its processor's kind, and the versions of what computes."""
    versions = {}
    for name in (*DECISIVE, *PREPARING, "timm"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"processor": _processor(), "python": ".".join(platform.python_version_tuple()[:2]), **versions}


def _processor() -> str:
    """Return maker, family and model where the system tells them: oneDNN chooses its kernels by them."""
    told: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in guard.read(Path("/proc/cpuinfo"), 2**24).decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    found = [told[name] for name in ("vendor_id", "cpu family", "model") if name in told]
    return " ".join([platform.machine(), *found])


def unlike(folder: Path) -> str:
    """Return how this machine differs from that on which a baseline was made; empty where it does not.

    Raises:
        UserError: the baseline does not say where it was made.
    """
    path = folder / PLATFORM
    try:
        there = {str(name): str(value) for name, value in guard.parse_table(guard.read(path, LARGEST)).items()}
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UserError(f"a baseline cannot be read: {reason}", where=path, remedy="make it anew: merbench check --update") from error
    here = platform_here()
    return ", ".join(
        f"{name} {there.get(name, '-')} there, {here.get(name, '-')} here"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    )


def write_platform(folder: Path) -> None:
    """Write beside a baseline where it was made.

    Raises:
        UserError: the file cannot be written.
    """
    text = "# Where the archives beside this file were made: here their bits must come again.\n"
    archive.put((text + "".join(f"{name}: {json.dumps(value)}\n" for name, value in platform_here().items())).encode(), folder / PLATFORM)


def _same(then: Any, found: Any) -> bool:
    if then is None or np.shape(then) != np.shape(found):
        return False
    return bool(np.allclose(then, found, rtol=0, atol=EXACT, equal_nan=True))


def _words(value: Any) -> str:
    return "none" if value is None else " ".join(f"{number:.6f}" for number in np.ravel(value))


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
