"""Image networks of timm as parts of a method: new weights, nothing downloaded, no randomness of their own."""

from __future__ import annotations

import copy
import difflib
import importlib
import sys
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from merbench.errors import UserError
from merbench.layers import KeyedDropout

FAULTS = (AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError, ZeroDivisionError)
"""What networks of timm raise where an image does not suit them."""

RATES = ("drop_rate", "drop_prob", "drop_path_rate", "dropout")
"""What timm's functional dropout, its dropped paths and torch's attention read."""


def library() -> Any:
    """Return timm, imported where it is needed, since it takes seconds; and without wandb, which it imports where it can.

    That would take another second in every worker, and start threads that ask wandb's server.
    """
    found = "wandb" in sys.modules
    if not found:
        sys.modules["wandb"] = None  # type: ignore[assignment]  # what Python takes for "there is none"
    try:
        return importlib.import_module("timm")
    finally:
        if not found:
            del sys.modules["wandb"]


def build(model: str, channels: int, size: int, stages: bool = False, argument: str = "model") -> nn.Module:
    """Return a network of timm with new weights, without its own classifier.

    Args:
        model: as timm calls it, without the tag of its weights.
        channels: of the images.
        size: height and width of the images.
        stages: it returns the maps of all its stages, fine to coarse; otherwise a vector of features.
        argument: of the method, for messages.

    Raises:
        UserError: timm has no model of that name, or it cannot be built for these images.
    """
    timm = library()
    names = timm.list_models()
    if model not in names:  # also what would be looked for in the network, such as hf-hub:somebody/something
        close = ", ".join(difflib.get_close_matches(model.split(".")[0], names, n=3, cutoff=0.4))
        raise UserError(
            f"timm {timm.__version__} has no model '{model[:60]}'",
            where=f"method.{argument}",
            remedy=f"{f'did you mean one of {close}? ' if close else ''}all of its {len(names):,} are in timm.list_models()",
        )
    config = timm.get_pretrained_cfg(model)
    fixed = config is not None and config.fixed_input_size  # it has weights for each place of an image, so it is told how many there are
    form: dict[str, Any] = {"features_only": True} if stages else {"num_classes": 0}
    try:
        built = timm.create_model(model, pretrained=False, in_chans=channels, **form, **({"img_size": size} if fixed else {}))
    except FAULTS as error:
        raise _unsuited(model, channels, size, error, argument) from error
    return _without_randomness(built)


def tried(network: nn.Module, model: str, channels: int, size: int, argument: str = "model") -> Any:
    """Return what the network gives for two blank images, sent through a copy of it.

    Raises:
        UserError: it cannot read them, or draws random numbers of its own.
    """
    trial = copy.deepcopy(network).train()  # a copy: batch statistics move
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        try:
            found = trial(torch.zeros(2, channels, size, size))
        except FAULTS as error:
            raise _unsuited(model, channels, size, error, argument) from error
        drew = not torch.equal(before, torch.get_rng_state())
    if drew:
        raise UserError(
            f"timm's {model} draws random numbers of its own while it is trained: other folds beside it would change its weights",
            where=f"method.{argument}",
            remedy="another model",
        )
    return found


def _without_randomness(network: nn.Module) -> nn.Module:
    """Return the network with its dropout and dropped paths off."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _DropoutNd):
                setattr(module, name, KeyedDropout(0.0))  # not nothing: attention asks it for its probability
        for rate in RATES:
            if isinstance(vars(module).get(rate), float):
                setattr(module, rate, 0.0)
    return network


def _unsuited(model: str, channels: int, size: int, error: Exception, argument: str) -> UserError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return UserError(
        f"timm's {model} cannot read images of {size} x {size} pixels in {channels} channels: {lines[-1][:200]}",
        where=f"method.{argument}={model}, method.size={size}",
        remedy="another size (method.size=224 suits most), or another model",
    )
