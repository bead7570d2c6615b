"""Macro-expression clips as the folds of a run read them, alone or beside its own: who is held out is not among them, under any name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merbench.batch import Batch, Inputs
from merbench.config import Training
from merbench.data import manifest, protocol
from merbench.data.datamodule import check_batch, training_clips
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.errors import UserError
from merbench.method import Method, Stage
from merbench.sample import Clip, Fold


@dataclass(frozen=True)
class Macro:
    """Macro clips, served.

    Attributes:
        everything: all of them as the method wants them, with the index in `sample.EMOTIONS` as ``label``.
        folds: for each fold of the protocol, in its order, the clips that it may learn from.
        counted: labels by which the steps of balanced epochs are counted: the true ones, whatever an audit puts in their place.
        people: who shows each of them, from `people_of`; not needed where nobody is left out but who is held out.
    """

    everything: Batch
    folds: tuple[Fold, ...]
    counted: NDArray[np.int64]
    people: tuple[str, ...] = ()

    def clips(self, held_out: str, without: Collection[str] = ()) -> Batch:
        """Return the clips from which the fold that holds this out may learn, or its inner training that leaves these people out as well."""
        (fold,) = (fold for fold in self.folds if fold.held_out == held_out)
        return training_clips(self.everything, spared(self.people, fold, without))


def people_of(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return who shows each clip, whatever the set calls them."""
    return tuple(manifest.person_of(clip.subject) for clip in clips)


def spared(shown_by: Sequence[str], share: Fold, people: Collection[str]) -> Fold:
    """Return a fold's share of the macro clips without those of some people.

    Args:
        shown_by: from `people_of`, of all macro clips.
        share: positions among them.
        people: as `people_of` calls them.
    """
    return Fold(share.held_out, tuple(index for index in share.train if shown_by[index] not in people), test=()) if people else share


def counted_by(
    stage: Stage, folds: Sequence[Fold], labels: NDArray[np.int64], shares: Sequence[Fold], felt: NDArray[np.int64] | None
) -> tuple[Sequence[Fold], NDArray[np.int64] | None]:
    """Return the folds by whose clips a stage's steps are counted, and the labels where its classes are balanced.

    Args:
        stage: filled.
        folds, labels: of the run.
        shares, felt: the same folds' shares of the macro clips, and their labels; for stages on them.
    """
    if stage.on == "training":
        return folds, labels if stage.balance else None
    if stage.on == "macro":
        return shares, felt if stage.balance else None
    return together(folds, shares, len(labels)), None


def together(folds: Sequence[Fold], macro: Sequence[Fold], after: int) -> tuple[Fold, ...]:
    """Return what each fold may learn from of both sets joined, as `datamodule.joined` numbers them.

    Args:
        folds: of the protocol.
        macro: the same folds' shares of the macro clips, in the same order.
        after: how many clips the run has.
    """
    pairs = zip(folds, macro, strict=True)
    return tuple(Fold(own.held_out, (*own.train, *(after + i for i in more.train)), test=()) for own, more in pairs)


def served(prepared: Prepared, inputs: Inputs, folds: Sequence[Fold], counted: NDArray[np.int64] | None = None) -> Macro:
    """Return the macro clips as a method wants them.

    Args:
        prepared: the macro clips.
        inputs: of the method.
        folds: all folds of the protocol.
        counted: the true labels, where others stand in ``prepared``.

    Raises:
        UserError: the source cannot serve these inputs; says why.
    """
    counted = prepared.labels if counted is None else counted
    return Macro(serve(prepared, inputs), protocol.pretraining(prepared.clips, folds), counted, people_of(prepared.clips))


def check_stages(method: Method, name: str) -> None:
    """Refuse stages that do not fit what the method asks for.

    Raises:
        UserError: a stage is on macro clips that the method does not ask for, or the last one is; or none is, though it asks for them.
    """
    stages = method.stages()
    pretrained = [stage.name for stage in stages if stage.macro]
    where = f"{name}, stages()"
    if pretrained and not method.inputs.macro:
        raise UserError(
            f"stage '{pretrained[0]}' is on macro clips, and the method does not ask for them",
            where=where,
            remedy="write macro=True into the method's Inputs",
        )
    if pretrained and stages[-1].macro:
        raise UserError(
            f"the last stage, '{stages[-1].name}', is on macro clips: what is recorded is trained on the training subjects' clips",
            where=where,
            remedy="add a stage on them after it",
        )
    if method.inputs.macro and not pretrained:
        raise UserError(
            "the method asks for macro clips, and no stage is on them",
            where=where,
            remedy='write on="macro" or on="training+macro" into a Stage',
        )


def check_sizes(prepared: Prepared, stages: Sequence[Stage], training: Training, folds: Sequence[Fold]) -> None:
    """Refuse batches that the macro clips, or both sets joined, cannot bear, as `datamodule.check_batch` does for the training clips.

    Args:
        prepared: the macro clips.
        stages: of the method.
        training: what fills them.
        folds: all folds of the protocol.

    Raises:
        UserError: nobody but who is held out has macro clips, or an epoch would have more steps than a fold has clips.
    """
    shares = protocol.pretraining(prepared.clips, folds)
    lonely = [fold.held_out for fold in shares if not fold.train]
    if lonely:
        raise UserError(
            f"all macro clips are of {lonely[0]}: the fold that holds {'this person' if '/' in lonely[0] else 'this database'} out has none",
            where=prepared.source,
            remedy="use the whole of the database" if "/" in lonely[0] else "choose other data with --on, or another protocol",
        )
    for stage in stages:
        settings, own = stage.settings(training), stage.name if stage.batch else ""
        if stage.on == "macro":
            check_batch(shares, settings.batch, prepared.labels if settings.balance else None, own)
        elif stage.macro:
            check_batch(together(folds, shares, after=0), settings.batch, stage=own)
