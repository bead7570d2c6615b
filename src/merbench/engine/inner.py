"""Inner trainings: models that each leave out a share of a fold's training subjects, by which an epoch is chosen without the held-out subject.

Each is a training of its own: all stages, from its own initial weights and streams, on the clips of those whom it does not leave out, in
pre-training too. Whom it leaves out it judges at every recorded epoch. What all of them say is added up to one confusion matrix an epoch,
which the fold file keeps; reading ``inner`` takes the epoch with the best UF1 from the fold's own training.

An inner epoch has as many steps as one of the fold's own training, so its batches are smaller by the share that is left out. Only so is an
epoch the same thing in both: as many passes over the clips, as many steps of the optimiser, and the same place in its schedule.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from merbench import scores, streams
from merbench.batch import Batch
from merbench.config import Request
from merbench.data import manifest, protocol
from merbench.data.datamodule import epoch_sizes, steps_per_epoch
from merbench.data.prepared import Prepared
from merbench.engine.pretraining import counted_by, people_of, spared
from merbench.errors import UserError
from merbench.method import Method
from merbench.sample import Clip, Fold

OFF = "leave training.inner out"


@dataclass(frozen=True)
class Part:
    """What one training of a fold learns from and what it judges.

    Attributes:
        held_out: of the fold, whichever of its trainings this is.
        fold: the clips. Those of an inner training are training clips of the fold itself, on either side.
        people: whom an inner training leaves out, as `manifest.person_of` calls them; nobody in the fold's own.
        number: of an inner training, from 1; 0 is the fold's own.
    """

    held_out: str
    fold: Fold
    people: frozenset[str] = frozenset()
    number: int = 0

    def stage(self, name: str) -> str:
        """Return what a stage is called among those of all trainings of the fold."""
        return f"{name} (inner {self.number})" if self.number else name


def split(request: Request, clips: Sequence[Clip], fold: Fold, seed: int) -> tuple[Part, ...]:
    """Return a fold's inner trainings: every training subject is left out by exactly one, nobody stands on both sides under any name.

    People are dealt out database by database, so that each inner training leaves out as many of each as the others do, give or take one. The
    order in which they are dealt is drawn from names: of scheme, fold, seed and person. So it is the same for every method.

    Args:
        request: how many there are.
        clips: of the run.
        fold: whose training clips are split.
        seed: seed index.

    Raises:
        UserError: fewer people than inner trainings.
    """
    count = request.training.inner
    if not count:
        return ()
    of = {index: manifest.person_of(clips[index].subject) for index in fold.train}
    key = streams.key_of("inner", request.scheme, fold.held_out, seed)
    people = sorted(set(of.values()), key=lambda person: (person.partition("/")[0], streams.key_of(key, person)))
    if len(people) < count:
        raise UserError(
            f"training.inner={count} needs {count} people to learn from; the fold that holds {fold.held_out} out has {len(people)}",
            where="training.inner",
            remedy=f"fewer inner trainings, more data with --on, or {OFF}",
        )
    dealt = {person: place % count for place, person in enumerate(people)}
    return tuple(
        Part(
            fold.held_out,
            Fold(
                f"{fold.held_out}, inner {place + 1}",
                train=tuple(index for index in fold.train if dealt[of[index]] != place),
                test=tuple(index for index in fold.train if dealt[of[index]] == place),
            ),
            frozenset(person for person in people if dealt[person] == place),
            place + 1,
        )
        for place in range(count)
    )


def after(done: int, of: int, tick: Callable[[float], None]) -> Callable[[float], None]:
    """Return what tells how far a fold is from how far a training is, when so many of its trainings are done."""
    return lambda share: tick((done + share) / of)


def judged(everything: Batch, part: Part, probabilities: Sequence[NDArray[np.float32]], classes: int) -> NDArray[np.int64]:
    """Return what an inner training said of whom it left out: (E, classes, classes) counts by recorded epoch.

    Args:
        everything: all clips, with the labels by which the fold itself learns.
        part: the inner training.
        probabilities: (n, classes) for each recorded epoch.
        classes: how many.
    """
    truth = everything["label"][torch.tensor(part.fold.test)].cpu().numpy()
    return scores.confusion(truth, np.stack(probabilities).argmax(-1), classes)


def check(request: Request, trial: Method, prepared: Prepared, folds: Sequence[Fold], seeds: int, macro: Prepared | None) -> None:
    """Refuse inner trainings where there is no epoch to choose, or that have too few clips.

    Args:
        request: of the run.
        trial: its method.
        prepared, folds: its clips, and all folds of its protocol.
        seeds: how many seeds are asked for.
        macro: the macro clips that it is pre-trained on, if it is.

    Raises:
        UserError: names what is in the way.
    """
    if not request.training.inner:
        return
    stages = [stage.filled(request.training) for stage in trial.stages()]
    why = ""
    if not stages or stages[-1].epochs == 1:
        why = f"{request.method} has one epoch, which is the one that reading 'inner' takes"
    elif request.training.record == "last":
        why = "with training.record=last a single epoch is kept"
    if why:
        raise UserError(f"training.inner={request.training.inner} has nothing to choose: {why}", where="training.inner", remedy=OFF)
    shares = protocol.pretraining(macro.clips, folds) if macro else ()
    felt, shown = (macro.labels, people_of(macro.clips)) if macro else (None, ())
    for stage in stages:
        counted, labels = counted_by(stage, folds, prepared.labels, shares, felt)
        steps = steps_per_epoch(counted, stage.batch or 1, labels)
        for place, seed in itertools.product(range(len(folds)), range(seeds)):
            for part in split(request, prepared.clips, folds[place], seed):
                own = (spared(shown, shares[place], part.people),) if macro else ()
                clips = epoch_sizes(*counted_by(stage, (part.fold,), prepared.labels, own, felt))[0]
                if steps > clips:
                    raise UserError(
                        f"an epoch of stage '{stage.name}' has {steps} steps, and an inner training of the fold that holds "
                        f"{folds[place].held_out} out has {clips} clips",
                        where="training.inner",
                        remedy=f"a larger training.batch, fewer inner trainings, or {OFF}",
                    )
