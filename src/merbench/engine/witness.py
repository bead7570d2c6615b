"""One fold trained for an audit: what it left, stage by stage, and what it opened while it was at it."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from merbench import methods, streams
from merbench.batch import Batch, Inputs
from merbench.config import Request
from merbench.data import manifest, protocol, replaced, store
from merbench.data.datamodule import held_out_clips, serve, to_device
from merbench.data.prepared import Prepared
from merbench.engine import fold, pretraining
from merbench.engine.isolation import isolated, one_thread
from merbench.method import Method, Stage
from merbench.sample import Fold
from merbench.weights import digest

Change = Literal["nothing", "again", "garbage", "another subject", "last epoch only", "permuted labels"]
"""What is other than in the run itself."""

STRANGERS = 8
"""So many training clips stand beside the held-out ones when a prediction is made in company."""


@dataclass(frozen=True)
class Case:
    """One training of an audit.

    Attributes:
        request, method, source, prepared: as in a run's plan.
        fold: its position in the protocol.
        change: what is other than in the run.
        device: ``cpu`` or ``cuda:0``.
        watched: folders of data that nothing but the data module should open.
        macro: as in a run's plan.
    """

    request: Request
    method: str
    source: bytes | None
    prepared: tuple[Path, ...]
    fold: int
    change: Change
    device: str
    watched: tuple[Path, ...] = ()
    macro: Path | None = None


@dataclass(frozen=True)
class Trained:
    """What one training left.

    Attributes:
        weights, optimiser: SHA-256 by stage; a closed form has the one stage ``fit`` and no optimiser.
        curve: losses by stage and part.
        together: (n, classes) probabilities of the held-out clips at the last epoch, as a run keeps them.
        alone: the same, each clip by itself.
        strangers: the same, beside clips of the training subjects.
        renumbered: the same, with the clip numbers of others; a method that reads nothing of a clip guesses by its number, and may.
        opened: files of data that were opened while it was trained, as far as Python opened them.
        failed: why it could not be finished; empty where it was.
    """

    weights: dict[str, str] = field(default_factory=dict)
    optimiser: dict[str, str] = field(default_factory=dict)
    curve: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    together: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    alone: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    strangers: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    renumbered: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    opened: tuple[str, ...] = ()
    failed: str = ""


def witnessed(case: Case) -> Trained:
    """Train one fold with its change and return what it left; a fault of the training is part of it."""
    with watching(case.watched) as opened:
        methods.load(case.method, case.source)
    prepared = store.load(*case.prepared)
    folds = protocol.loso(prepared.clips)
    held_out = folds[case.fold]
    request = case.request
    if case.change in ("garbage", "another subject"):
        prepared = replaced.replaced(prepared, held_out, case.change)
    elif case.change == "last epoch only":
        request = replace(request, training=replace(request.training, record="last"))
    inputs = fold.build(request, len(prepared.classes)).inputs
    everything = serve(prepared, inputs)
    macro = pretraining.served(_macro(case, held_out), inputs, folds) if case.macro else None
    if case.change == "permuted labels":
        everything["label"] = permuted(everything["label"], held_out)
    weights, optimiser = {}, {}

    def seal(stage: Stage, method: Method, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        weights[stage.name] = fold.weights_digest(method)
        optimiser[stage.name] = digest({str(index): each.state_dict() for index, each in enumerate(optimizers)})

    manifest.megc2019.cache_clear()  # who reads the clip list while training opens it anew, and is seen
    device = torch.device(case.device)
    try:
        with watching(case.watched) as more:
            result, _, method = fold.train(request, prepared, everything, held_out, folds, 0, device, {}, seal=seal, macro=macro)
            alone, strangers, renumbered = _company(method, everything, held_out, device)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, the audit goes on and tells it
        return Trained(failed=f"{type(error).__name__}: {str(error)[:200]}", opened=tuple(dict.fromkeys(opened)))
    return Trained(
        weights or {"fit": result.weights},
        optimiser,
        {stage: dict(parts) for stage, parts in result.curve.items()},
        result.probabilities[-1],
        alone,
        strangers,
        renumbered,
        tuple(dict.fromkeys([*opened, *more])),
    )


def _macro(case: Case, held_out: Fold) -> Prepared:
    """Return the macro clips, with those of the held-out person replaced where the person's other clips are."""
    assert case.macro is not None
    prepared = store.load(case.macro)
    others = protocol.others(prepared.clips, held_out.subject)
    theirs = tuple(index for index in range(len(prepared.clips)) if index not in set(others))
    if not theirs or case.change not in ("garbage", "another subject"):
        return prepared
    return replaced.replaced(prepared, Fold(prepared.clips[theirs[0]].subject, others, theirs), case.change)


def permuted(labels: torch.Tensor, held_out: Fold) -> torch.Tensor:
    """Return the labels with those of the training clips dealt out anew among them; the held-out ones stay."""
    train = torch.tensor(held_out.train)
    dealt = labels.clone()
    dealt[train] = labels[train[streams.shuffled(streams.key_of("permuted labels", held_out.subject), train)]]
    return dealt


def _company(method: Method, everything: Batch, held_out: Fold, device: torch.device) -> Iterator[NDArray[np.float32]]:
    """Yield the held-out probabilities of each clip by itself, of all beside clips of the training subjects, and of all under others' numbers."""
    own = to_device(held_out_clips(everything, held_out), device)
    beside = held_out.train[:: max(1, len(held_out.train) // STRANGERS)][:STRANGERS]
    mixed = to_device(held_out_clips(everything, Fold(held_out.subject, held_out.train, (*beside, *held_out.test))), device)
    numbers = torch.tensor(np.resize(held_out.train, len(held_out.test)), device=device)
    with one_thread(), isolated(streams.key_of("held-out")):
        yield torch.cat([method.probabilities(_one(own, index)) for index in range(len(held_out.test))]).cpu().numpy()
        yield method.probabilities(mixed)[len(beside) :].cpu().numpy()
        yield method.probabilities(own if method.inputs == Inputs() else {**own, "clip": numbers}).cpu().numpy()


def _one(batch: Batch, index: int) -> Batch:
    return {name: value[index : index + 1] for name, value in batch.items()}  # type: ignore[return-value,index]


_seen: list[tuple[tuple[str, ...], list[str]]] = []
"""Who is watching now: folders, and what was opened below them. An audit hook cannot be taken away again, so there is one."""


@contextlib.contextmanager
def watching(folders: Sequence[Path]) -> Iterator[list[str]]:
    """Note every file or folder below these that Python opens or lists. What a library opens by itself, in C, is not seen."""
    _hook()
    opened: list[str] = []
    _seen.append((tuple(str(folder.resolve()) for folder in folders), opened))
    try:
        yield opened
    finally:
        _seen.pop()


@functools.cache
def _hook() -> None:
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if not _seen or event not in ("open", "os.listdir", "os.scandir") or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    folders, opened = _seen[-1]
    path = os.path.realpath(os.fsdecode(arguments[0]))
    if any(path == folder or path.startswith(folder + os.sep) for folder in folders):
        opened.append(path)
