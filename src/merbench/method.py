"""Card, Stage, Method, METHODS: the contract between a method and everything else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, final

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR

from merbench import streams
from merbench.batch import Batch, Inputs
from merbench.card import Card as Card
from merbench.config import Training
from merbench.errors import UserError
from merbench.layers import Keyed
from merbench.registry import Registry

Outputs = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """A named part of training: one ``Trainer.fit``, with its own loss and optimiser.

    What is None is filled from the request's training settings. Held-out probabilities are recorded in the last stage only.

    Attributes:
        name: such as ``warm-up``.
        epochs, batch, lr, weight_decay, schedule, decay, decay_every, balance, rotate, crop, brightness: as in ``config.Training``.
        outputs, loss: bound methods used instead of ``Method.outputs`` and ``Method.loss``.
        on: what it learns from: the training subjects' clips; or, for methods with ``inputs.macro``, the macro-expression clips of everybody
            but the held-out person, whose ``label`` is an emotion of `sample.EMOTIONS`; or both joined, without ``label``, since the two sets
            have other classes; they are shuffled, and never balanced. The last stage is on the training subjects' clips.
    """

    name: str
    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    outputs: Callable[[Batch], Outputs] | None = None
    loss: Callable[[Outputs, Batch], Outputs] | None = None
    on: Literal["training", "macro", "training+macro"] = "training"
    schedule: Literal["constant", "step", "cosine"] | None = None
    decay: float | None = None
    decay_every: int | None = None
    balance: bool | None = None
    rotate: float | None = None
    crop: float | None = None
    brightness: float | None = None

    @property
    def macro(self) -> bool:
        """Return whether it learns from macro clips, alone or beside others."""
        return self.on != "training"

    def filled(self, training: Training) -> Stage:
        """Return the stage with every setting that it shares with the request filled."""
        return replace(self, **{name: getattr(training, name) for name in SHARED if getattr(self, name) is None})

    def settings(self, training: Training) -> Training:
        """Return the request's training settings with this stage's own over them."""
        return replace(training, **{name: getattr(self, name) for name in SHARED if getattr(self, name) is not None})


SHARED = ("epochs", "batch", "lr", "weight_decay", "schedule", "decay", "decay_every", "balance", "rotate", "crop", "brightness")
"""Settings that a stage may have of its own; the others are the request's in every stage."""


def schedule_of(stage: Stage, optimizer: torch.optim.Optimizer) -> LRScheduler | None:
    """Return what changes an optimiser's rates after each epoch of a filled stage; None where they stay."""
    if stage.schedule == "step":
        assert stage.decay_every is not None
        assert stage.decay is not None
        return StepLR(optimizer, stage.decay_every, stage.decay)
    if stage.schedule == "cosine":
        assert stage.epochs is not None
        return CosineAnnealingLR(optimizer, stage.epochs)
    return None


SEALED = (
    "forward",
    "training_step",
    "configure_optimizers",
    "validation_step",
    "test_step",
    "train_dataloader",
    "losses",
    "probabilities",
    "begin",
    "seed_layers",
)


class Method(LightningModule):
    """A method of micro-expression recognition: subclass it, write `logits`, register it. Nothing else is edited.

    `outputs` and `loss` are pure: they call no ``self.log`` and store no tensor, so that many folds can be trained as one.
    Random layers come from `merbench.layers`. The arguments of ``__init__`` after ``classes`` are the method's configuration:
    each has a type and a default. What the method reads is declared in ``inputs``, on the class or, where it depends on
    arguments, on the instance.

    Args:
        classes: number of classes.
    """

    card: ClassVar[Card]
    results_version: ClassVar[int] = 1
    """Raise it when a change makes the same request give other numbers."""

    later: ClassVar[tuple[str, ...]] = ()
    """Arguments that came when runs were kept already, and whose defaults give the numbers of before. At their defaults they stand in no
    request and no key: whoever does not use them finds finished runs finished."""

    inputs: Inputs = Inputs()

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self._stage: Stage | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a method that replaces a sealed step: its numbers could not be compared."""
        super().__init_subclass__(**kwargs)
        replaced = [name for name in SEALED if name in vars(cls)]
        if replaced and cls.__module__ != __name__:
            raise TypeError(f"{cls.__name__} replaces {', '.join(replaced)}, which is sealed; write outputs, loss, stages or optimizer")

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores. The one method that every network writes."""
        raise NotImplementedError(f"{type(self).__name__} has neither logits nor outputs")

    def outputs(self, batch: Batch) -> Outputs:
        """Return ``logits`` (B, classes) and whatever the loss needs beside it."""
        return {"logits": self.logits(batch)}

    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return ``total``, a scalar, and its parts; cross-entropy unless the method says otherwise."""
        return {"total": functional.cross_entropy(outputs["logits"], batch["label"])}

    def stages(self) -> tuple[Stage, ...]:
        """Return the parts of training, in order."""
        return (Stage("train"),)

    def initialise(self, state: Mapping[str, Tensor]) -> None:  # noqa: ARG002  # for those who override it
        """Take up weights that the user has from elsewhere, once in every fold, before anything is trained.

        Args:
            state: names to tensors, from the user's file; they are this fold's own.

        Raises:
            UserError: the method takes none, unless it says otherwise; or these are not what it can take.
        """
        raise UserError(
            f"{type(self).__name__} takes no initial weights",
            where="--initial",
            remedy="leave --initial out, or choose a method that takes them",
        )

    def measures(self, batch: Batch) -> Outputs:  # noqa: ARG002  # for those who override it
        """Return what else is worth knowing of held-out clips, each (B,): how well a learned displacement agrees with a reference, say.

        Called once, after training, without gradients; what it returns stands in the fold files and, as medians, in the row. Nothing learns
        from it.

        Args:
            batch: the held-out clips as `outputs` gets them, and for methods that read frames ``tvl1``, TV-L1 flow in pixels of the frame grid, and
                of rendered clips ``truth``.
        """
        return {}

    def maps(self, batch: Batch) -> Outputs:  # noqa: ARG002  # for those who override it
        """Return where the method looks, by name: (B, h, w) in [0, 1] each, of any size, to be drawn over the apex. In eval mode; nothing learns from it.

        Args:
            batch: held-out clips as `outputs` gets them.
        """
        return {}

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of a stage, whose numbers are all set; Adam unless the method says otherwise."""
        assert stage.lr is not None, "the engine fills a stage before it is used"
        assert stage.weight_decay is not None
        return torch.optim.Adam(parameters, lr=stage.lr, weight_decay=stage.weight_decay)

    @final
    def begin(self, stage: Stage) -> None:
        """Take up a stage; the engine calls it before each fit."""
        self._stage = stage

    @final
    def seed_layers(self, key: int) -> None:
        """Give every random layer its stream, by the layer's name."""
        for name, module in self.named_modules():
            if isinstance(module, Keyed):
                module.seed(streams.key_of(key, name))

    def forward(self, batch: Batch) -> Outputs:
        """Return what the current stage's loss reads."""
        return (self._stage.outputs if self._stage and self._stage.outputs else self.outputs)(batch)

    @final
    def losses(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the current stage's losses."""
        return (self._stage.loss if self._stage and self._stage.loss else self.loss)(outputs, batch)

    @final
    def training_step(self, batch: Batch, _index: int) -> Outputs:
        """Return the losses; every part is logged, by its mean over the epoch."""
        losses = self.losses(self(batch), batch)
        self.log_dict({name: value.detach() for name, value in losses.items()}, on_step=False, on_epoch=True, batch_size=len(batch["clip"]))
        return {"loss": losses["total"]}

    @final
    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the current stage's optimiser over the parameters that ask for a gradient, and its schedule, which Lightning steps by epoch."""
        assert self._stage is not None, "begin(stage) comes first"
        optimizer = self.optimizer(self._stage, [parameter for parameter in self.parameters() if parameter.requires_grad])
        schedule = schedule_of(self._stage, optimizer)
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    @final
    def probabilities(self, batch: Batch) -> Tensor:
        """Return (B, classes) float32 probabilities in eval mode, and leave every module in the mode it was in."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            with torch.no_grad():
                return functional.softmax(self.outputs(batch)["logits"].float(), dim=-1)
        finally:
            for module, training in modes:
                module.training = training


class ClosedForm(Method):
    """A method that is solved, not descended: it sees all training clips at once. It has one recorded epoch.

    What `fit` learns is kept through ``get_extra_state`` and ``set_extra_state`` (tensors and plain values), or in buffers.
    """

    @abstractmethod
    def fit(self, batch: Batch) -> None:
        """Learn from all clips of the training subjects."""

    def stages(self) -> tuple[Stage, ...]:
        """Return nothing: there is no descent."""
        return ()


class MethodRegistry(Registry[type[Method]]):
    """Methods by name; what is no method, or has no card, is refused."""

    def add(self, name: str) -> Callable[[type[Method]], type[Method]]:
        """Register the decorated method.

        Raises:
            TypeError: it is no subclass of `Method`, or has no `Card`.
            ValueError: the name is taken.
        """
        keep = super().add(name)

        def checked(entry: type[Method]) -> type[Method]:
            if not (isinstance(entry, type) and issubclass(entry, Method)):
                raise TypeError(f"'{name}' is no subclass of merbench.method.Method")
            if not isinstance(getattr(entry, "card", None), Card):
                raise TypeError(f"method '{name}' has no card: write card = Card(...) in its class")
            return keep(entry)

        return checked


METHODS = MethodRegistry("method")
