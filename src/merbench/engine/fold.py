"""One fold: a Lightning Trainer per stage, and the held-out clips looked at from outside."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from merbench import streams, weights
from merbench.batch import Batch
from merbench.config import Request
from merbench.data.datamodule import LosoDataModule, held_out_clips, joined, steps_per_epoch, to_device, training_clips
from merbench.data.prepared import Prepared
from merbench.data.serving import references
from merbench.engine import inner
from merbench.engine.isolation import bare_trainer, isolated, one_thread, quiet
from merbench.engine.latency import latency
from merbench.engine.pretraining import Macro, counted_by
from merbench.foldfile import FoldResult
from merbench.method import METHODS, ClosedForm, Method, Stage
from merbench.results import Cost
from merbench.sample import Fold

RESULTS_VERSION = 1
"""Raised when a change to the engine or the data module makes the same request give other numbers; `serving` has a version of its own."""

Tick = Callable[[float], None]
"""Called with the share of a fold's epochs that is done."""

Seal = Callable[[str, Method, Sequence[torch.optim.Optimizer]], None]
"""Called at the end of each stage with its name, of an inner training with that beside it, and with what it leaves."""


class FoldError(RuntimeError):
    """A fold cannot be finished, for a reason that lies in its training."""


class NotFiniteError(FoldError):
    """A loss or a probability is not a finite number."""


def build(request: Request, classes: int) -> Method:
    """Return the request's method with its arguments; lists of the request become tuples."""
    arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in request.arguments.items()}
    return METHODS[request.method](classes, **arguments)


def references_of(method: Method, prepared: Prepared) -> Batch:
    """Return what a method's held-out clips are measured by; empty where it measures nothing."""
    return {} if type(method).measures is Method.measures else references(prepared, method.inputs)


def train(
    request: Request,
    prepared: Prepared,
    everything: Batch,
    fold: Fold,
    folds: Sequence[Fold],
    seed: int,
    device: torch.device,
    environment: dict[str, str],
    tick: Tick = lambda _: None,
    known: Batch | None = None,
    seal: Seal = lambda *_: None,
    macro: Macro | None = None,
    counted: NDArray[np.int64] | None = None,
    initial: Mapping[str, Tensor] | None = None,
) -> tuple[FoldResult, Cost, Method]:
    """Train one fold and return what it leaves, what it cost and the trained method.

    Nothing here depends on other folds, on the process's history or on its number of threads: the global random states are seeded
    from the fold's name and put back afterwards, and on the CPU one intra-op thread is used. Inner trainings come after the fold's own, each
    under a name of its own: without them the fold's own is the same bits.

    Args:
        request: the run.
        prepared: clips and labels.
        everything: all clips as the method wants them, from ``serving.serve``.
        fold, folds: this fold, and all folds of the protocol.
        seed: seed index.
        device: CPU or one GPU.
        environment: recorded in the fold file.
        tick: told how far it is.
        known: what held-out clips are measured by beside their scores, from `references_of`; None measures nothing.
        seal: shown each stage's method and optimisers when it ends; an audit compares them.
        macro: what stages on macro clips learn from, for methods that ask for it.
        counted: labels by which the steps of balanced epochs are counted; None for those of ``prepared``. An audit gives the true ones: as the
            number of clips, the number of each class stays when what is held out is replaced.
        initial: weights from which every fold starts, where the request has any.

    Raises:
        FoldError: a loss or a probability is not finite, predicting changes the method, or a stage is on macro clips that are not there.
    """
    begun = time.perf_counter()
    key, trainings = streams.key_of(request.method, request.scheme, fold.held_out, seed), 1 + request.training.inner
    labels, classes = prepared.labels if counted is None else counted, len(prepared.classes)
    one = functools.partial(_trained, request, everything, folds, labels, classes, device, macro, initial, seal)
    with quiet(), one_thread():
        method, recorder = one(inner.Part(fold.held_out, fold), key, inner.after(0, trainings, tick))
        measures = _measures(method, recorder.held_out, known, fold, device)
        matrices = []
        for part in inner.split(request, prepared.clips, fold, seed):
            if gc.get_freeze_count():  # in a worker: the training before is let go, whose Trainer and module hold each other
                gc.collect()
            _, looked = one(part, streams.key_of(key, "inner", part.number), inner.after(part.number, trainings, tick))
            matrices.append(inner.judged(everything, part, looked.probabilities, classes))
        tick(1.0)
        seconds, peak = time.perf_counter() - begun, _peak_mib(device)
        learnt = weights_digest(method)
        clip_seconds = latency(method, to_device(held_out_clips(everything, replace(fold, test=fold.test[:1])), device), device)
    result = FoldResult(
        held_out=fold.held_out,
        seed=seed,
        clips=tuple(prepared.clips[i].key for i in fold.test),
        labels=prepared.labels[list(fold.test)],
        classes=prepared.classes,
        epochs=np.array(recorder.epochs, dtype=np.int32),
        probabilities=np.stack(recorder.probabilities),
        curve=recorder.curve,
        weights=learnt,
        environment=environment,
        measures=measures,
        inner=np.sum(matrices, axis=0) if matrices else None,
    )
    return result, Cost(seconds, peak, clip_seconds), method


def _trained(
    request: Request,
    everything: Batch,
    folds: Sequence[Fold],
    labels: NDArray[np.int64],
    classes: int,
    device: torch.device,
    macro: Macro | None,
    initial: Mapping[str, Tensor] | None,
    seal: Seal,
    part: inner.Part,
    key: int,
    tick: Tick,
) -> tuple[Method, Recorder]:
    """Train a method on one part of a fold's clips, and look at those that the part leaves out; what is not told here is as in `train`.

    Args:
        labels: by which steps are counted.
        key: of this training; all of its streams derive from it.
    """
    with isolated(key), _named(part):
        method = build(request, classes)
        if initial is not None:
            method.initialise({name: tensor.clone() for name, tensor in initial.items()})
        method.seed_layers(streams.key_of(key, "layers"))
        resident = to_device(training_clips(everything, part.fold), device)
        recorder = Recorder(request.training.record, to_device(held_out_clips(everything, part.fold), device), tick)
        if isinstance(method, ClosedForm):
            method.to(device).fit(resident)
            recorder.keep(method, epoch=1)
            return method, recorder
        stages = [stage.filled(request.training) for stage in method.stages()]
        recorder.total = sum(stage.epochs or 0 for stage in stages)
        for stage in stages:
            module = _module(stage, request, resident, part, folds, labels, macro, device, streams.key_of(key, stage.name))
            recorder.take(stage, last=stage is stages[-1])
            method.begin(stage)
            trainer = bare_trainer(stage.epochs, device, recorder)
            trainer.fit(method, datamodule=module)
            seal(part.stage(stage.name), method, trainer.optimizers)
        return method, recorder


@contextlib.contextmanager
def _named(part: inner.Part) -> Iterator[None]:
    """Say of a fault in which inner training it was."""
    try:
        yield
    except FoldError as error:
        if not part.number:
            raise
        raise type(error)(f"inner training {part.number}: {error}") from error


class Recorder(pl.Callback):
    """Keeps losses by epoch, and in the last stage the held-out probabilities.

    Looking at the held-out subject changes nothing: modes are put back, and what a method draws in eval mode is drawn from a forked
    random state. The held-out result goes nowhere but into the fold file: not into Lightning's metrics, where a callback could act on it.
    """

    def __init__(self, record: str, held_out: Batch, tick: Tick) -> None:
        self.record, self.held_out, self.tick = record, held_out, tick
        self.total, self.done = 1, 0
        self.epochs: list[int] = []
        self.probabilities: list[NDArray[np.float32]] = []
        self.curve: dict[str, dict[str, list[float]]] = {}
        self._stage: Stage | None = None
        self._last = False

    def take(self, stage: Stage, last: bool) -> None:
        """Begin a stage; the last one is recorded."""
        self._stage, self._last = stage, last
        self.curve[stage.name] = {}

    def keep(self, method: Method, epoch: int) -> None:
        """Keep the held-out probabilities of an epoch.

        Raises:
            FoldError: they are no probabilities, or looking at the held-out subject changed the method: it would learn from it.
        """
        before = _versions(method)
        with isolated(streams.key_of("held-out")):
            probabilities = method.probabilities(self.held_out).cpu().numpy()
        changed = sorted(name for name, version in _versions(method).items() if before.get(name) != version)
        if changed:
            raise FoldError(f"predicting changes {', '.join(changed)}: the method would learn from the held-out subject")
        wanted = (len(self.held_out["clip"]), method.classes)
        if probabilities.shape != wanted:
            raise FoldError(f"the logits of {wanted[0]} clips have shape {probabilities.shape}, not {wanted}")
        if not np.isfinite(probabilities).all():
            raise NotFiniteError(f"the held-out probabilities of epoch {epoch} are not finite")
        self.probabilities.append(probabilities)
        self.epochs.append(epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch's losses, and look at the held-out subject where that is asked for."""
        assert self._stage is not None
        assert isinstance(pl_module, Method)
        epoch = trainer.current_epoch + 1
        for name, value in trainer.callback_metrics.items():
            if not torch.isfinite(value):
                raise NotFiniteError(f"the loss '{name}' is {value.item()} in epoch {epoch} of stage '{self._stage.name}'")
            self.curve[self._stage.name].setdefault(name, []).append(value.item())
        if self._last and (self.record == "every" or epoch == self._stage.epochs):
            self.keep(pl_module, epoch)
        self.done += 1
        self.tick(self.done / self.total)


def _module(
    stage: Stage,
    request: Request,
    resident: Batch,
    part: inner.Part,
    folds: Sequence[Fold],
    labels: NDArray[np.int64],
    macro: Macro | None,
    device: torch.device,
    key: int,
) -> LosoDataModule:
    """Return what a stage learns from: the training clips, the macro clips of everybody whom the part does not leave out, or both."""
    settings = stage.settings(request.training)
    if stage.macro and macro is None:
        raise FoldError(f"stage '{stage.name}' is on macro clips, and none were given")
    shares, emotions = (macro.folds, macro.counted) if macro is not None else ((), None)
    counted, balanced = counted_by(stage, folds, labels, shares, emotions)
    steps = steps_per_epoch(counted, settings.batch, balanced)
    if macro is not None and stage.macro:
        felt = to_device(macro.clips(part.held_out, part.people), device)
        resident = felt if stage.on == "macro" else joined(resident, felt, len(labels))
    return LosoDataModule(resident, steps, settings, key)


def weights_digest(method: Method) -> str:
    """Return the SHA-256 of everything a method has learnt, by name."""
    return weights.digest(method.state_dict())


def _measures(method: Method, held_out: Batch, known: Batch | None, fold: Fold, device: torch.device) -> dict[str, list[float]]:
    """Return what a method tells of its held-out clips beside their probabilities, one number a clip.

    Raises:
        FoldError: a measure has not one number for each clip.
    """
    if known is None or type(method).measures is Method.measures:
        return {}
    beside = to_device(held_out_clips(known, fold), device) if known else {}
    method.eval()
    with torch.no_grad(), isolated(streams.key_of("measures")):
        found = method.measures({**held_out, **beside})
    wrong = [name for name, values in found.items() if values.shape != (len(fold.test),)]
    if wrong:
        raise FoldError(f"the measures {', '.join(wrong)} have not one number for each of {len(fold.test)} clips")
    return {name: [float(value) for value in values.cpu()] for name, values in found.items()}


def _versions(method: Method) -> dict[str, tuple[int, int]]:
    """Return identity and version of every parameter and buffer; torch raises the version with each change in place."""
    tensors = itertools.chain(method.named_parameters(), method.named_buffers())
    return {name: (id(tensor), tensor._version) for name, tensor in tensors}


def _peak_mib(device: torch.device) -> float:
    """Return the peak memory of the device, or of this process so far on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
