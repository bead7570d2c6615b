"""Where a trained method looks: maps of held-out clips, each by the weights of the fold that had not seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from merbench import methods, streams, weights
from merbench.data import load, store
from merbench.data.datamodule import held_out_clips
from merbench.data.overlays import Overlay
from merbench.data.prepare import Watch, silent
from merbench.data.prepared import Prepared
from merbench.data.protocol import folds_of
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.engine.isolation import isolated, one_thread
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.method import Method
from merbench.results import Run
from merbench.sample import Fold


def overlays(run: Run, count: int, method_file: Path | None = None, watch: Watch = silent, workers: int | None = None) -> list[Overlay]:
    """Return maps of some held-out clips of a run, of as many people as there are.

    Args:
        run: whose folds kept their weights; those of the first seed are taken.
        count: so many clips.
        method_file: the method's own file, where it is none of merbench's.
        watch, workers: of the preparation, should the data have to be made ready.

    Raises:
        UserError: the run has no weights or other data than are there, or its method has no maps.
    """
    request, provenance = run.described()
    _load(request.method, provenance.method_file, method_file, run)
    method = engine.build(request, len(provenance.classes))
    if type(method).maps is Method.maps:  # before the data are looked at, which takes longer
        raise UserError(
            f"{request.method} draws no maps", where=run.path, remedy="choose a run of a method that has the hook maps, as micro_attention"
        )
    prepared = store.load(*load.ready(request.data, request.scheme, watch=watch, workers=workers))
    if prepared.fingerprint != provenance.data["fingerprint"]:
        raise UserError(
            "the data that are set up are not those of this run",
            where=run.path,
            remedy="set up what it was trained on, or run the same command again: merbench bench",
        )
    folds = folds_of(request.protocol, prepared.clips)
    chosen = _chosen(prepared, folds, count)
    found = []
    for fold, positions in chosen:
        name = fold_name(fold.held_out, 0)
        if not run.fold_path(name).is_file():
            raise UserError(f"fold {name} is not finished", where=run.path, remedy="run the same command again with --save-weights")
        weights.put_into(method, weights.of_fold(run, name), run.weights_path(name))
        found += _of_fold(method, prepared, fold, positions)
    return found


def _load(name: str, source_hash: str, method_file: Path | None, run: Run) -> None:
    """Import the run's method.

    Raises:
        UserError: it is a file of its own that was not named, or is another now.
    """
    if not source_hash:
        methods.load(name)
        return
    if method_file is None or methods.load(str(method_file)).source_hash != source_hash:
        raise UserError(
            f"{name} is a method of its own file" + ("" if method_file is None else ", and this is another, or it was changed"),
            where=method_file or run.path,
            remedy=f"name the file that was trained: --method {name}.py",
        )


def _chosen(prepared: Prepared, folds: Sequence[Fold], count: int) -> list[tuple[Fold, list[int]]]:
    """Return folds with positions of their held-out clips: everybody's first clip, then everybody's second, until there are enough."""
    queues: dict[str, list[tuple[int, int]]] = {}
    for index, fold in enumerate(folds):
        for position in fold.test:
            queues.setdefault(prepared.clips[position].subject, []).append((index, position))
    turns = [queue[turn] for turn in range(max(map(len, queues.values()))) for queue in queues.values() if turn < len(queue)]
    taken = sorted(turns[:count])
    return [
        (folds[index], [position for other, position in taken if other == index]) for index in dict.fromkeys(index for index, _ in taken)
    ]


def _of_fold(method: Method, prepared: Prepared, fold: Fold, positions: Sequence[int]) -> list[Overlay]:
    batch = held_out_clips(serve(_few(prepared, positions), method.inputs), Fold(fold.held_out, (), tuple(range(len(positions)))))
    with one_thread(), isolated(streams.key_of("held-out")):
        likely = method.probabilities(batch).numpy()
        method.eval()
        with torch.no_grad():
            maps = {name: found.float().numpy() for name, found in method.maps(batch).items()}
    if not maps:
        raise UserError(
            "with these arguments the method has no maps",
            where=fold.held_out,
            remedy="choose a run of the whole method: what this one's name says was changed takes them away",
        )
    apexes = _rows(prepared, "apex", positions)
    return [
        Overlay(
            apexes[row],
            {name: found[row] for name, found in maps.items()},
            (
                prepared.clips[position].key,
                f"is {prepared.classes[prepared.labels[position]]}",
                f"taken for {prepared.classes[int(likely[row].argmax())]} ({likely[row].max():.2f})",
            ),
        )
        for row, position in enumerate(positions)
    ]


def _few(prepared: Prepared, positions: Sequence[int]) -> Prepared:
    """Return some clips as a set of their own, so that no others are served."""
    names = set.intersection(*(set(part.arrays) for part in prepared.parts or (prepared,)))
    return replace(
        prepared,
        clips=tuple(prepared.clips[position] for position in positions),
        labels=prepared.labels[list(positions)],
        arrays={name: _rows(prepared, name, positions) for name in names},
        parts=(),
        known="",
    )


def _rows(prepared: Prepared, name: str, positions: Sequence[int]) -> NDArray[np.uint8]:
    """Return rows of an array of a set, whichever databases they are of."""
    places = [(part, index) for part in prepared.parts or (prepared,) for index in range(len(part.clips))]
    return np.stack([np.array(places[position][0].arrays[name][places[position][1]]) for position in positions])
