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
from merbench.data.datamodule import held_out_clips, to_device
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.engine import fold, pretraining
from merbench.engine.isolation import isolated, one_thread
from merbench.errors import told
from merbench.method import Method
from merbench.sample import Fold
from merbench.weights import digest

Change = Literal["nothing", "again", "garbage", "another subject", "last epoch only", "without inner", "permuted labels", "served"]
"""What is other than in the run itself: ``again`` trains another fold before in the same process; ``served`` trains nothing, it looks at what a
clip is served as when all others are garbage. With permuted labels there are no inner trainings either: the last epoch is judged."""

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
        weights, optimiser: SHA-256 by stage, those of inner trainings too; a closed form has the one stage ``fit`` and no optimiser.
        curve: losses by stage and part.
        together: (n, classes) probabilities of the held-out clips at the last epoch, as a run keeps them.
        alone: the same, each clip by itself.
        strangers: the same, beside clips of the training subjects.
        probed: probabilities of the true held-out clips, whatever stood in their place while training.
        inner: (E, C, C) what inner trainings said of whom they left out, by recorded epoch; of no epoch where there are none.
        served: names of what is served otherwise of a clip when all others, and its label, are garbage.
        renumbered: the same, with the clip numbers of others; a method that reads nothing of a clip guesses by its number, and may.
        opened: files of data that were opened while it was trained, as far as Python opened them.
        failed: why it could not be finished; empty where it was.
        lonely: why it cannot judge clips in other company, where it cannot.
    """

    weights: dict[str, str] = field(default_factory=dict)
    optimiser: dict[str, str] = field(default_factory=dict)
    curve: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    together: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    alone: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    strangers: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    renumbered: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    probed: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    inner: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    served: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    failed: str = ""
    lonely: str = ""


def witnessed(case: Case) -> Trained:
    """Train one fold with its change and return what it left; a fault of the training is part of it."""
    opened: list[str] = []
    try:
        return _witnessed(case, opened)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, the audit goes on and tells it
        return Trained(failed=told(error)[:200], opened=tuple(dict.fromkeys(opened)))


def _witnessed(case: Case, opened: list[str]) -> Trained:
    with watching(case.watched, opened):
        methods.load(case.method, case.source)
    true = store.load(*case.prepared)
    folds, request = protocol.folds_of(case.request.protocol, true.clips), case.request
    split = folds[case.fold]
    inputs = fold.build(request, len(true.classes)).inputs
    if case.change == "served":
        return Trained(served=_served(true, split, inputs))
    prepared = replaced.replaced(true, split, case.change) if case.change in ("garbage", "another subject") else true
    everything = serve(prepared, inputs)
    probe = everything if prepared is true else serve(true, inputs)
    if case.change == "last epoch only":
        request = replace(request, training=replace(request.training, record="last"))
    elif case.change in ("without inner", "permuted labels"):
        request = replace(request, training=replace(request.training, inner=0))
    if case.change == "permuted labels":
        everything = {**everything, "label": permuted(everything["label"], split)}
    macro = pretraining.served(_macro(case, split), inputs, folds, store.load(case.macro).labels) if case.macro else None
    weights, optimiser = {}, {}

    def seal(stage: str, method: Method, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        weights[stage] = fold.weights_digest(method)
        optimiser[stage] = digest({str(index): each.state_dict() for index, each in enumerate(optimizers)})

    manifest.megc2019.cache_clear()  # who reads the clip list while training opens it anew, and is seen
    device = torch.device(case.device)
    with watching(case.watched, opened):
        if case.change == "again":  # what passes from one fold to the next would be in the other's training
            before = folds[(case.fold + 1) % len(folds)]
            fold.train(request, prepared, everything, before, folds, 0, device, {}, macro=macro, counted=true.labels)
        result, _, method = fold.train(
            request, prepared, everything, split, folds, 0, device, {}, seal=seal, macro=macro, counted=true.labels
        )
        with one_thread(), isolated(streams.key_of("held-out")):
            probed = method.probabilities(to_device(held_out_clips(probe, split), device)).cpu().numpy()
        lonely, (alone, strangers, renumbered) = "", (probed, probed, probed)
        try:
            alone, strangers, renumbered = _company(method, everything, split, device)
        except Exception as error:  # noqa: BLE001  # judging a clip by itself is what many a method has never been asked for
            lonely = told(error)[:200]
    return Trained(
        weights or {"fit": result.weights},
        optimiser,
        {stage: dict(parts) for stage, parts in result.curve.items()},
        result.probabilities[-1],
        alone,
        strangers,
        renumbered,
        probed,
        Trained().inner if result.inner is None else result.inner.astype(np.float32),
        lonely=lonely,
        opened=tuple(dict.fromkeys(opened)),
    )


def _served(true: Prepared, split: Fold, inputs: Inputs) -> tuple[str, ...]:
    """Return what is served otherwise of a held-out clip when every other clip, and its own label, is garbage."""
    clip = split.test[0]
    others = tuple(index for index in range(len(true.clips)) if index != clip)
    changed = replaced.replaced(true, Fold(split.held_out, (clip,), others), "garbage")
    labels = changed.labels.copy()
    labels[clip] = (labels[clip] + 1) % len(true.classes)
    before, after = serve(true, inputs), serve(replace(changed, labels=labels), inputs)
    return tuple(
        sorted(name for name in before if name != "label" and not torch.equal(before[name][clip], after[name][clip]))  # type: ignore[literal-required]
    )


def _macro(case: Case, split: Fold) -> Prepared:
    """Return the macro clips, with those of the held-out person replaced where the person's other clips are."""
    assert case.macro is not None
    prepared = store.load(case.macro)
    others = protocol.others(prepared.clips, split.held_out)
    theirs = tuple(index for index in range(len(prepared.clips)) if index not in set(others))
    if not theirs or case.change not in ("garbage", "another subject"):
        return prepared
    return replaced.replaced(prepared, Fold(prepared.clips[theirs[0]].subject, others, theirs), case.change)


def permuted(labels: torch.Tensor, split: Fold) -> torch.Tensor:
    """Return the labels with those of the training clips dealt out anew among them; the held-out ones stay."""
    train = torch.tensor(split.train)
    dealt = labels.clone()
    dealt[train] = labels[train[streams.shuffled(streams.key_of("permuted labels", split.held_out), train)]]
    return dealt


def _company(method: Method, everything: Batch, split: Fold, device: torch.device) -> Iterator[NDArray[np.float32]]:
    """Yield the held-out probabilities: each clip by itself, all beside clips of the training subjects, and all under others' numbers."""
    own = to_device(held_out_clips(everything, split), device)
    beside = split.train[:: max(1, len(split.train) // STRANGERS)][:STRANGERS]
    mixed = to_device(held_out_clips(everything, Fold(split.held_out, split.train, (*beside, *split.test))), device)
    numbers = torch.tensor(np.resize(split.train, len(split.test)), device=device)
    with one_thread(), isolated(streams.key_of("held-out")):
        yield torch.cat([method.probabilities(_one(own, index)) for index in range(len(split.test))]).cpu().numpy()
        yield method.probabilities(mixed)[len(beside) :].cpu().numpy()
        yield method.probabilities(own if method.inputs == Inputs() else {**own, "clip": numbers}).cpu().numpy()


def _one(batch: Batch, index: int) -> Batch:
    return {name: value[index : index + 1] for name, value in batch.items()}  # type: ignore[return-value,index]


_seen: list[tuple[tuple[str, ...], list[str]]] = []
"""Who is watching now: folders, and what was opened below them. An audit hook cannot be taken away again, so there is one."""


@contextlib.contextmanager
def watching(folders: Sequence[Path], opened: list[str]) -> Iterator[None]:
    """Note every file or folder below these that Python opens or lists, and every process that it starts.

    What a library opens by itself, in C, is not seen.

    Args:
        folders: of data.
        opened: what is seen is added to it.
    """
    _hook()
    _seen.append((tuple(str(folder.resolve()) for folder in folders), opened))
    try:
        yield
    finally:
        _seen.pop()


@functools.cache
def _hook() -> None:
    sys.addaudithook(_look)


STARTS = ("subprocess.Popen", "os.posix_spawn", "os.system", "os.fork", "os.exec")
PROGRAM = (".py", ".pyc", ".so")


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if not _seen:
        return
    folders, opened = _seen[-1]
    if event in STARTS:
        opened.append(f"another process ({event})")
    if event not in ("open", "os.listdir", "os.scandir") or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    path = os.path.realpath(os.fsdecode(arguments[0]))
    if any(path == folder or path.startswith(folder + os.sep) for folder in folders) and not path.endswith(PROGRAM):
        opened.append(path)
