"""Proof, for any method, that nothing fitted has seen the held-out subject: folds are trained again with something changed, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

from merbench import methods, processes
from merbench.config import shipped
from merbench.data import manifest, places, protocol, store, twins
from merbench.data.prepare import Watch, silent
from merbench.data.prepared import Prepared
from merbench.data.sources import expressions
from merbench.engine import findings, inner
from merbench.engine.anew import prepared_anew
from merbench.engine.findings import Finding
from merbench.engine.kept import Kept
from merbench.engine.run import Plan
from merbench.engine.witness import Case, Change, Trained, watching, witnessed
from merbench.errors import UserError, told
from merbench.sample import Fold
from merbench.settings import data_path

FOLDS, PERMUTED = 3, 8
"""So many folds are trained again, and so many with permuted labels: of three, a lucky guess at which class is which is told by nothing."""

TRAININGS = "folds trained again"


def chosen(prepared: Prepared, folds: Sequence[Fold], asked: str, count: int) -> list[int]:
    """Return the positions of the folds to look at.

    Args:
        prepared, folds: of the run.
        asked: how many, ``all``, or who is held out, with commas; empty for ``count`` folds.
        count: how many where nothing is asked.

    Raises:
        UserError: nobody of that name is held out, or no number from 1.
    """
    names = [fold.held_out for fold in folds]
    if asked == "all":
        return list(range(len(folds)))
    if asked and not (asked.isascii() and asked.isdecimal()):
        wanted = [each.strip() for each in asked.split(",") if each.strip()]
        unknown = [each for each in wanted if each not in names]
        if unknown:
            raise UserError(
                f"there is no fold that holds '{unknown[0]}' out",
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
    planned: Plan,
    looked_at: Sequence[int],
    permuted: Sequence[int],
    *,
    imported: Sequence[str] = (),
    anew: bool = True,
    watch: Watch = silent,
) -> Generator[Finding, None, None]:
    """Look at one method on one set of data and yield what was found, promise by promise.

    Args:
        planned: from `engine.run.plan`; nothing is written to its run.
        imported: from `imports`, before it was planned.
        looked_at: positions of the folds that are trained again, each four times (five where there are inner trainings), the first once more.
        permuted: positions of the folds that are trained on permuted labels, once each.
        anew: whether frames or images are prepared anew with the held-out subject's files replaced.
        watch: told about progress.
    """
    prepared = store.load(*planned.prepared)
    inside: list[Change] = ["without inner"] if planned.request.training.inner else []
    changes: list[Change] = ["nothing", "served", "garbage", "another subject", "last epoch only", *inside]
    asked = [(index, change) for index in looked_at for change in changes]
    asked += [(looked_at[0], "again"), *((index, "permuted labels") for index in permuted)]
    kept = Kept(planned)
    found = _trained(planned, asked, kept, watch)
    subjects, base = {index: planned.folds[index].held_out for index in looked_at}, {index: found[index, "nothing"] for index in looked_at}
    again = findings.same("again", subjects[looked_at[0]], base[looked_at[0]], found[looked_at[0], "again"])
    yield again
    others: list[Change] = ["garbage", "another subject", "last epoch only"]
    for change in others:
        for index in looked_at:
            yield findings.same(change, subjects[index], base[index], found[index, change], repeatable=again.verdict != "broken")
    for index in looked_at if inside else []:
        yield findings.same(
            "without inner", subjects[index], found[index, "without inner"], base[index], repeatable=again.verdict != "broken"
        )
    for index in looked_at:
        yield findings.served(subjects[index], found[index, "served"])
    for index in looked_at:
        yield findings.company(subjects[index], base[index])
    labelled = [(prepared.labels[list(planned.folds[index].test)], found[index, "permuted labels"]) for index in permuted]
    yield findings.guessing(labelled, len(prepared.classes))
    yield findings.opened(list(dict.fromkeys([*imported, *(path for trained in found.values() for path in trained.opened)])))
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


def imports(method: str, runs: Path) -> list[str]:
    """Import a method and return which data it opened meanwhile, and which processes it started.

    Raises:
        UserError: it cannot be imported.
    """
    opened: list[str] = []
    with watching(_places((store.ROOT, runs)), opened):
        methods.load(method)
    return opened


def _watched(planned: Plan) -> tuple[Path, ...]:
    stores = [folder.parents[1] for folder in (*planned.prepared, *([planned.macro] if planned.macro else []))]
    return _places((*stores, planned.run.path.parents[3]))


def _places(more: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders that nothing but the data module has any business in: data, prepared data, clip lists, runs."""
    set_up = [path for name in places.PLACES if (path := data_path(name)) is not None]
    return (*set_up, Path(places.SYNTHETIC), shipped("data_manifests"), *more)


def _prepared_anew(planned: Plan, prepared: Prepared, looked_at: Sequence[int], watch: Watch) -> Generator[Finding, None, None]:
    """Prepare one database of each source anew, without one subject of those looked at."""
    done = set()
    for index in sorted(looked_at, key=lambda index: len(planned.folds[index].train)):
        held_out = [prepared.clips[position] for position in planned.folds[index].test]
        subject, _ = Counter(clip.subject for clip in held_out).most_common(1)[0]  # of a database that is held out, who has most clips
        database = held_out[0].database
        if database in done:
            continue
        done.add(database)
        request = planned.request
        try:
            unlike, clips = prepared_anew(request.data, request.scheme, database, subject, prepared, watch, len(planned.devices))
        except (UserError, OSError) as error:
            yield Finding("preparation", subject, "not told", error.what if isinstance(error, UserError) else told(error))
            continue
        if unlike:
            words = f"not the same: {', '.join(unlike[:3])}" + (f" and {len(unlike) - 3} more" if len(unlike) > 3 else "")
            yield Finding("preparation", subject, "broken", words)
        else:
            yield Finding("preparation", subject, "held", f"{clips} clips of others in {database} are the same bits")


def _persons(planned: Plan, prepared: Prepared) -> Finding:
    """Look at whom each fold learns from, in the benchmark's clips and in those it is pre-trained on."""
    subjects = [clip.subject for clip in prepared.clips]
    held_out = [[subjects[index] for index in fold.test] for fold in planned.folds]
    wrong = [
        fold.held_out for fold, those in zip(planned.folds, held_out, strict=True) if _met(those, [subjects[index] for index in fold.train])
    ]
    for fold in planned.folds:
        for part in inner.split(planned.request, prepared.clips, fold, seed=0):
            judged = [subjects[index] for index in part.fold.test]
            wrong += [part.fold.held_out] if _met(judged, [subjects[index] for index in part.fold.train]) else []
    told = f"{len(set(subjects))} subjects, {len({manifest.person_of(each) for each in subjects})} people"
    if planned.macro is not None:
        clips = store.load(planned.macro).clips
        shares = protocol.pretraining(clips, planned.folds)
        wrong += [
            fold.held_out
            for fold, those in zip(shares, held_out, strict=True)
            if _met(those, [clips[index].subject for index in fold.train])
        ]
        unknown = sum(expressions.UNKNOWN in clip.flags for clip in clips)
        told += f", pre-trained on {len({clip.subject for clip in clips})}"
        told += f", of whom is not known of {unknown} pictures" if unknown else ""
    if wrong:
        return Finding("persons", "", "broken", f"learnt from under another name: {', '.join(dict.fromkeys(wrong[:4]))}")
    return Finding("persons", "", "held", f"{told} (persons.csv)")


def _met(held_out: Sequence[str], learnt_from: Sequence[str]) -> bool:
    """Return whether somebody stands on both sides, under whatever names."""
    return bool(set(map(manifest.person_of, held_out)) & set(map(manifest.person_of, learnt_from)))


def _twins(prepared: Prepared) -> Finding:
    pairs = twins.twins(prepared)
    if pairs:
        listed = ", ".join(f"{first} = {second} ({like:.2f})" for first, second, like in pairs[:3])
        return Finding("twins", "", "broken", f"{len(pairs)} pairs: {listed}")
    return Finding("twins", "", "held", f"no pair of {len(prepared.clips)} clips correlates by {twins.LIKE} or more")
