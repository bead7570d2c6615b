"""Proof, for any method, that nothing fitted has seen the held-out subject: folds are trained again with something changed, and compared."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merbench import processes, scores
from merbench.config import shipped
from merbench.data import load, manifest, protocol, store, twins
from merbench.data.prepare import Watch, silent
from merbench.data.prepared import Prepared
from merbench.engine.anew import prepared_anew
from merbench.engine.kept import Kept
from merbench.engine.run import Plan
from merbench.engine.witness import Case, Change, Trained, witnessed
from merbench.errors import UserError
from merbench.sample import Fold
from merbench.settings import data_path

FOLDS, PERMUTED = 3, 8
"""So many folds are trained again, and so many with permuted labels: of three, a lucky guess at which class is which is told by nothing."""

LUCK = 0.001
"""As rarely may luck explain a score on permuted labels before it counts as a leak."""

TOLERANCE = 1e-4
"""Probabilities in single precision differ by less than this when a clip's batch has another size."""

TRAININGS = "folds trained again"

Verdict = Literal["held", "broken", "not told"]

PROMISES: dict[str, str] = {
    "again": "the same fold trained twice gives the same bits",
    "garbage": "with the held-out subject replaced by garbage, weights, optimiser and losses are the same bits",
    "another subject": "with the held-out subject replaced by another, they are the same bits too",
    "last epoch only": "without looking at the held-out subject after every epoch, they are the same bits, and so is the last epoch",
    "company": "a held-out clip is judged alike alone, beside its subject's clips, beside others, and under another number",
    "permuted labels": "learnt from permuted labels, the score is no better than guessing",
    "files": "the method opens no data by itself: it has what the data module gives it",
    "preparation": "with the held-out subject's files replaced, everybody else's prepared arrays are the same bits",
    "persons": "nobody is learnt from under another name",
    "twins": "no two subjects look like one person or one clip",
}
"""What is looked at, in the order in which it is told."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        promise: a key of `PROMISES`.
        subject: whose fold; empty where it is not about one.
        verdict: ``held``, ``broken``, or ``not told`` where it could not be looked at.
        told: what was seen, in words.
    """

    promise: str
    subject: str
    verdict: Verdict
    told: str


def chosen(prepared: Prepared, folds: Sequence[Fold], asked: str, count: int) -> list[int]:
    """Return the positions of the folds to look at.

    Args:
        prepared, folds: of the run.
        asked: how many, ``all``, or subjects with commas; empty for ``count`` folds.
        count: how many where nothing is asked.

    Raises:
        UserError: an unknown subject, or no number from 1.
    """
    names = [fold.subject for fold in folds]
    if asked == "all":
        return list(range(len(folds)))
    if asked and not (asked.isascii() and asked.isdecimal()):
        wanted = [each.strip() for each in asked.split(",")]
        unknown = [each for each in wanted if each not in names]
        if unknown:
            raise UserError(
                f"there is no subject '{unknown[0]}' to hold out",
                where=f"--folds {asked}",
                remedy=f"a number, all, or some of {', '.join(names)}",
            )
        return sorted(names.index(each) for each in dict.fromkeys(wanted))
    wished = int(asked[:6]) if asked else count
    if wished < 1:
        raise UserError("no fold is to be looked at", where=f"--folds {asked}", remedy="give a number from 1, all, or subjects")
    # who has most clips can leak most; databases take turns
    ranked: dict[str, list[int]] = {}
    for index in sorted(range(len(folds)), key=lambda index: -len(folds[index].test)):
        ranked.setdefault(prepared.clips[folds[index].test[0]].database, []).append(index)
    turns = [each[place] for place in range(len(folds)) for each in ranked.values() if place < len(each)]
    return sorted(turns[:wished])


def audit(
    planned: Plan, looked_at: Sequence[int], permuted: Sequence[int], *, anew: bool = True, watch: Watch = silent
) -> Generator[Finding, None, None]:
    """Look at one method on one set of data and yield what was found, promise by promise.

    Args:
        planned: from `engine.run.plan`; nothing is written to its run.
        looked_at: positions of the folds that are trained again, each four times.
        permuted: positions of the folds that are trained on permuted labels, once each.
        anew: whether frames or images are prepared anew with the held-out subject's files replaced.
        watch: told about progress.
    """
    prepared = store.load(*planned.prepared)
    changes: list[Change] = ["nothing", "garbage", "another subject", "last epoch only"]
    asked = [(index, change) for index in looked_at for change in changes]
    asked += [(looked_at[0], "again"), *((index, "permuted labels") for index in permuted)]
    kept = Kept(planned)
    found = _trained(planned, asked, kept, watch)
    base = {index: found[index, "nothing"] for index in looked_at}
    for change in ("again", "garbage", "another subject", "last epoch only"):
        for index in looked_at:
            if (index, change) in found:
                yield _same(change, planned.folds[index].subject, base[index], found[index, change])
    for index in looked_at:
        yield _company(planned.folds[index].subject, base[index])
    yield _no_better_than_guessing(
        [(prepared.labels[list(planned.folds[i].test)], found[i, "permuted labels"]) for i in permuted], prepared
    )
    yield _opened(found.values())
    if anew:
        yield from _prepared_anew(planned, prepared, looked_at, watch)
    yield _persons(planned, prepared)
    yield _twins(prepared)
    kept.drop()


def _trained(planned: Plan, asked: Sequence[tuple[int, Change]], kept: Kept, watch: Watch) -> dict[tuple[int, Change], Trained]:
    """Train every fold with every change, but for what an interrupted audit has kept."""
    found = {each: known for each in asked if (known := kept.get(*each)) is not None}
    missing = [each for each in asked if each not in found]
    watched = _watched(planned)
    cases = [
        Case(
            planned.request,
            planned.method,
            planned.source,
            planned.prepared,
            index,
            change,
            planned.devices[place % len(planned.devices)],
            watched,
            planned.macro,
        )
        for place, (index, change) in enumerate(missing)
    ]
    watch(TRAININGS, len(found), len(asked))
    for place, trained in processes.each(witnessed, cases, len(planned.devices)):
        found[missing[place]] = trained
        kept.put(*missing[place], trained)
        watch(TRAININGS, len(found), len(asked))
    return found


def _watched(planned: Plan) -> tuple[Path, ...]:
    """Return the folders that nothing but the data module has any business in: data, prepared data, clip lists, other runs."""
    places = [path for name in load.PLACES if (path := data_path(name)) is not None]
    stores = [folder.parents[1] for folder in (*planned.prepared, *([planned.macro] if planned.macro else []))]
    return (*places, *stores, Path(load.SYNTHETIC), shipped("data_manifests"), planned.run.path.parents[3])


def _same(change: str, subject: str, base: Trained, other: Trained) -> Finding:
    """Compare what two trainings left, bit by bit."""
    if base.failed or other.failed:
        return Finding(change, subject, "broken", f"the fold could not be trained: {base.failed or other.failed}")
    unlike = [f"weights after {stage}" for stage in base.weights if base.weights[stage] != other.weights.get(stage)]
    unlike += [f"the optimiser after {stage}" for stage in base.optimiser if base.optimiser[stage] != other.optimiser.get(stage)]
    unlike += [f"losses of {stage}" for stage in base.curve if base.curve[stage] != other.curve.get(stage)]
    if change in ("again", "last epoch only") and not np.array_equal(base.together, other.together):
        unlike.append("the probabilities of the last epoch")
    if unlike:
        return Finding(change, subject, "broken", f"not the same: {', '.join(unlike)}")
    stages = ", ".join(base.weights)
    return Finding(change, subject, "held", f"weights, optimiser and losses of {stages} are the same bits")


def _company(subject: str, base: Trained) -> Finding:
    if base.failed:
        return Finding("company", subject, "broken", f"the fold could not be trained: {base.failed}")
    apart = {
        "alone": _farthest(base.alone, base.together),
        "beside others": _farthest(base.strangers, base.together),
        "under another number": _farthest(base.renumbered, base.together),
    }
    name, worst = max(apart.items(), key=lambda each: each[1])
    clips = len(base.together)
    if not worst <= TOLERANCE:
        return Finding("company", subject, "broken", f"a probability moves by {worst:.4f} when its clip is judged {name}")
    return Finding("company", subject, "held", f"{clips} clips, within {worst:.0e}")


def _farthest(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max(initial=0.0))


def _no_better_than_guessing(folds: Sequence[tuple[NDArray[np.int64], Trained]], prepared: Prepared) -> Finding:
    """Judge a score that was learnt from permuted labels.

    Two kinds of luck are allowed for: which clips are right, and, since clips of a class look alike, which class a fold takes for which.
    """
    failed = [trained.failed for _, trained in folds if trained.failed]
    if failed:
        return Finding("permuted labels", "", "broken", f"a fold could not be trained: {failed[0]}")
    classes, rng = len(prepared.classes), np.random.default_rng(0)
    truth = np.concatenate([labels for labels, _ in folds])
    predicted = [trained.together.argmax(1) for _, trained in folds]

    def score(guesses: NDArray[Any]) -> NDArray[np.float64]:
        return np.nan_to_num(scores.uf1(scores.confusion(truth, guesses, classes)))

    here, repeats = float(score(np.concatenate(predicted))), 4_999
    shuffled = score(rng.permuted(np.tile(np.concatenate(predicted), (repeats, 1)), axis=1))
    renamed = score(np.stack([np.concatenate([rng.permutation(classes)[each] for each in predicted]) for _ in range(repeats)]))
    luck = max((1 + (null >= here).sum()) / (1 + repeats) for null in (shuffled, renamed))
    told = f"UF1 {here:.2f} over {len(truth)} clips of {len(folds)} folds, guessing {shuffled.mean():.2f} ± {shuffled.std():.2f}, p = {luck:.2g}"
    return Finding("permuted labels", "", "broken" if luck < LUCK else "held", told)


def _opened(trainings: Any) -> Finding:
    seen = list(dict.fromkeys(path for trained in trainings for path in trained.opened))
    if seen:
        names = ", ".join(Path(path).name for path in seen[:4])
        return Finding(
            "files", "", "broken", f"{len(seen)} opened while it was built or trained: {names}: nobody can vouch for what it takes there"
        )
    return Finding("files", "", "held", "none below data, prepared, clip lists or runs, as far as Python opens them")


def _prepared_anew(planned: Plan, prepared: Prepared, looked_at: Sequence[int], watch: Watch) -> Generator[Finding, None, None]:
    """Prepare one database of each source anew, without one subject of those looked at."""
    done = set()
    for index in sorted(looked_at, key=lambda index: len(planned.folds[index].train)):
        fold = planned.folds[index]
        database = fold.subject.split("/")[0]
        if database in done:
            continue
        done.add(database)
        request = planned.request
        try:
            unlike, clips = prepared_anew(
                request.data.source, request.scheme, database, fold.subject, prepared, watch, len(planned.devices)
            )
        except UserError as error:
            yield Finding("preparation", fold.subject, "not told", error.what)
            continue
        if unlike:
            told = f"not the same: {', '.join(unlike[:3])}" + (f" and {len(unlike) - 3} more" if len(unlike) > 3 else "")
            yield Finding("preparation", fold.subject, "broken", told)
        else:
            yield Finding("preparation", fold.subject, "held", f"{clips} clips of others in {database} are the same bits")


def _persons(planned: Plan, prepared: Prepared) -> Finding:
    """Look at whom each fold learns from, in the benchmark's clips and in those it is pre-trained on."""
    subjects = [clip.subject for clip in prepared.clips]
    wrong = [fold.subject for fold in planned.folds if _met(fold.subject, [subjects[index] for index in fold.train])]
    told = f"{len(set(subjects))} subjects, {len({manifest.person_of(each) for each in subjects})} people"
    if planned.macro is not None:
        clips = store.load(planned.macro).clips
        shares = protocol.pretraining(clips, planned.folds)
        wrong += [fold.subject for fold in shares if _met(fold.subject, [clips[index].subject for index in fold.train])]
        told += f", pre-trained on {len({clip.subject for clip in clips})}"
    if wrong:
        return Finding("persons", "", "broken", f"learnt from under another name: {', '.join(dict.fromkeys(wrong[:4]))}")
    return Finding("persons", "", "held", f"{told} (persons.csv)")


def _met(held_out: str, learnt_from: Sequence[str]) -> bool:
    return manifest.person_of(held_out) in {manifest.person_of(each) for each in learnt_from}


def _twins(prepared: Prepared) -> Finding:
    pairs = twins.twins(prepared)
    if pairs:
        listed = ", ".join(f"{first} = {second} ({like:.2f})" for first, second, like in pairs[:3])
        return Finding("twins", "", "broken", f"{len(pairs)} pairs: {listed}")
    return Finding("twins", "", "held", f"no pair of {len(prepared.clips)} clips correlates by {twins.LIKE} or more")
