"""Committed predictions, scored again: every number must be the very one that was kept. Seconds, and the same on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from merbench.board import archive
from merbench.board.archive import Archive
from merbench.board.readings import Score, averages_of, score_of
from merbench.board.regression import Verdict
from merbench.config import parse_request
from merbench.data import databases, schemes

EXACT = 1e-12
"""What is counted from the same predictions by the same code differs by rounding at most."""


def rescored(path: Path, name: str) -> Verdict:
    """Score the predictions of one archive again: truth against its scheme's list, every number against the one that was kept.

    Raises:
        UserError: the archive cannot be read.
    """
    kept = archive.read(path)
    now = now_of(kept)
    return Verdict(name, "predictions", kept.row["readings"]["last"]["uf1"], now.uf1, None, moved(kept, now))


def now_of(kept: Archive) -> Score:
    """Return what the predictions of an archive score by the last epoch."""
    return score_of("last", kept.tables, len(kept.classes))


def moved(kept: Archive, now: Score) -> tuple[str, ...]:
    """Return what an archive tells otherwise than its scheme's list and its predictions do, in words.

    Args:
        kept: with the row that it was kept with.
        now: what its predictions score.
    """
    last = kept.row["readings"]["last"]
    pairs = {
        "UF1": (last["uf1"], now.uf1),
        "UAR": (last["uar"], now.uar),
        "accuracy": (last["accuracy"], now.accuracy),
        **{
            f"interval of {score}": (last[f"{score.lower()}_interval"], now_of)
            for score, now_of in (("UF1", now.uf1_interval), ("UAR", now.uar_interval))
        },
        **{f"UF1, UAR, accuracy of {part}": (last["parts"].get(part), now.parts.get(part)) for part in {**last["parts"], **now.parts}},
    }
    found = [f"{what}: {_words(then)}, now {_words(new)}" for what, (then, new) in pairs.items() if not _same(then, new)]
    if last.get("confusion") != now.confusion:
        found.append(f"confusion: {last.get('confusion')}, now {now.confusion}")
    averages, then = averages_of(kept.tables, len(kept.classes)), kept.row["averages"]
    found += [
        f"{name}: {_words(then.get(name))}, now {_words(averages.get(name))}"
        for name in {**then, **averages}
        if not _same(then.get(name), averages.get(name))
    ]
    return (*_relabelled(kept), *found)


def _relabelled(kept: Archive) -> list[str]:
    """Return in what clips and classes an archive differs from its scheme's list: all clips of its databases, each with its class."""
    scheme = kept.row["scheme"]
    if not schemes.is_listed(scheme):
        return []
    listed = schemes.scheme(scheme)
    if kept.classes != tuple(listed.classes):
        return [f"its classes are {', '.join(kept.classes)}, those of {scheme} {', '.join(listed.classes)}"]
    truth = {clip: kept.classes[label] for clip, label in zip(kept.clips, kept.truth.tolist(), strict=True)}
    known = {clip: listed.classes[label] for clip, label in listed.labels.items()}
    if wrong := [clip for clip in truth if known.get(clip) != truth[clip]]:
        return [f"{len(wrong)} clips have another class in {scheme}: {wrong[0]} was {truth[wrong[0]]}, is {known.get(wrong[0])}"]
    on = parse_request(kept.request.encode()).data.on
    if unlike := sorted({clip.key for clip in listed.select(databases.databases_of(on))} ^ set(truth)):
        return [f"{len(unlike)} clips are in {on} or in the archive alone: {unlike[0]}"]
    return []


def _same(then: Any, found: Any) -> bool:
    if then is None or found is None or np.shape(then) != np.shape(found):
        return False
    return bool(np.allclose(then, found, rtol=0, atol=EXACT, equal_nan=True))


def _words(value: Any) -> str:
    return "none" if value is None else " ".join(f"{number:.6f}" for number in np.ravel(value))
