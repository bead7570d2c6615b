"""A request tried out before anything is trained: a fault is told once and at once, not by forty folds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd

from merbench import methods
from merbench.batch import Batch
from merbench.config import Request
from merbench.data.datamodule import held_out_clips, joined, single, training_clips
from merbench.data.macro import still
from merbench.data.prepared import Prepared
from merbench.data.serving import check_served, serve
from merbench.data.sources import expressions
from merbench.engine import fold
from merbench.engine.pretraining import check_stages
from merbench.errors import UserError, told
from merbench.method import SHARED, ClosedForm, Method
from merbench.presets import check
from merbench.sample import Fold


def tried(request: Request, prepared: Prepared, asked: str, initial: Mapping[str, Tensor] | None = None) -> Method:
    """Build the method and send two clips through it, so that a fault is told now and not by forty folds.

    Stages on macro clips are left to `tried_on_macro`: it is this method that says whether such clips are needed.

    Raises:
        UserError: it cannot be built with these arguments, its stages do not fit what it asks for or have settings that mean nothing, it cannot
            read these clips, or it cannot start from these weights.
    """
    _check_size(request, len(prepared.classes), _told(request))
    with _telling(request, asked):
        trial = fold.build(request, len(prepared.classes))
        if initial is not None:
            trial.initialise(initial)
        check_stages(trial, request.method)
        for stage in trial.stages():
            check(stage.settings(request.training), f"{request.method}, stage '{stage.name}': ")
        check_served(prepared, trial.inputs)
        everything = serve(prepared.first(2), trial.inputs)
        if not isinstance(trial, ClosedForm):
            pair = Fold("two clips", train=(0, 1), test=(0, 1))
            two, labelled = held_out_clips(everything, pair), single(training_clips(everything, pair))
            shape = tuple(trial.probabilities(two).shape)
            if shape != (2, len(prepared.classes)):
                raise ValueError(f"the logits of 2 clips have shape {shape}, not (2, {len(prepared.classes)})")
            if not trial.stages():
                raise ValueError("stages() returns no stage")
            _try_stages(request, trial, "training", labelled)
            stock = [name for name, module in trial.named_modules() if isinstance(module, _DropoutNd)]
            if stock:
                raise ValueError(f"{', '.join(stock)}: torch's dropout draws from the global state; use merbench.layers.KeyedDropout")
    return trial


def tried_on_macro(request: Request, trial: Method, macro: Prepared, asked: str) -> None:
    """Send two macro clips, of the first and the last emotion, through the method's stages on them, and twice two through those on both sets.

    Raises:
        UserError: it cannot learn from these clips; or they are stills, and it compares onset with apex.
    """
    with _telling(request, asked):
        check_served(macro, trial.inputs)
        labelled = single(serve(macro.first(2), trial.inputs))
        labelled["label"] = torch.linspace(0, len(macro.classes) - 1, len(labelled["label"])).long()
        found = _on_macro(request, trial, labelled)
        if macro.on == expressions.NAME and found != _on_macro(request, trial, {**labelled, "onset": 1 - labelled["onset"]}):
            raise still("the onset beside the apex", macro.source)


def _on_macro(request: Request, trial: Method, labelled: Batch) -> list[float]:
    """Return the totals of a method's stages on macro clips, of the same draws whenever it is asked."""
    trial.seed_layers(0)
    both = joined(labelled, labelled, after=len(labelled["clip"]))
    return _try_stages(request, trial, "macro", labelled) + _try_stages(request, trial, "training+macro", both)


def _try_stages(request: Request, trial: Method, on: str, labelled: Batch) -> list[float]:
    totals = []
    for stage in (stage for stage in trial.stages() if stage.on == on):
        trial.begin(stage.filled(request.training))
        losses = trial.losses(trial(labelled), labelled)
        if "total" not in losses or any(value.dim() for value in losses.values()):
            raise ValueError(f"the loss of stage '{stage.name}' must be scalars by name, one of them 'total'")
        totals.append(losses["total"].item())
    return totals


@contextlib.contextmanager
def _telling(request: Request, asked: str) -> Iterator[None]:
    """Say in one message what a method raises.

    Raises:
        UserError: with the line of the method's file, where it has one of its own.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        place = methods.line_of(error, Path(asked)) if methods.is_file(asked) else request.method
        raise UserError(
            f"{request.method} cannot be built and used with these arguments: {told(error)[:300]}",
            where=f"{place}, {_told(request) or 'no arguments'}",
            remedy=f"see merbench methods {asked}; a method of your own: correct it there",
        ) from error


def _check_size(request: Request, classes: int, where: str) -> None:
    """Refuse a network that this machine's memory cannot hold, found without giving it any: torch's meta device has shapes only.

    Raises:
        UserError: weights, gradients and the optimiser's two moments are together larger than the memory.
    """
    try:
        with torch.device("meta"):
            shapes = fold.build(request, classes)
    except (Exception, SystemExit):  # noqa: BLE001  # what cannot be built there is built, or refused, as it always was
        return
    needed = 4 * sum(parameter.numel() * parameter.element_size() for parameter in shapes.parameters())
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise UserError(
            f"{request.method} would need {needed / 2**30:,.0f} GiB for its weights and their training; this machine has {there / 2**30:,.0f}",
            where=where,
            remedy="give smaller widths or sizes",
        )


def check_changes(request: Request, trial: Method) -> None:
    """Refuse an override that nothing reads: its row would stand on the board as if it had done something.

    Raises:
        UserError: names the override.
    """
    stages = trial.stages()
    settled = [stage.settings(request.training) for stage in stages]
    for change in request.changes:
        section, _, rest = change.partition(".")
        setting = rest.partition("=")[0]
        if section != "training":
            continue
        why = "" if stages else "it is solved at once, not trained by steps"
        if stages and setting in SHARED and all(getattr(stage, setting) is not None for stage in stages):
            why = "each of its stages sets its own"
        elif setting in ("decay", "decay_every") and all(each.schedule != "step" for each in settled):
            why = why or "no stage's schedule is step"
        elif setting == "crop_at" and all(each.crop == 1 for each in settled):
            why = why or "nothing is cropped"
        if why:
            raise UserError(f"{request.method} does not read training.{setting}: {why}", where=change, remedy="leave this override out")


def _told(request: Request) -> str:
    return ", ".join(f"method.{name}={value}" for name, value in request.arguments.items())
