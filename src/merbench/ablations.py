"""What a method's ablations take away or change: ``experiments/<method>/ablations.yaml``, or ``my_method.ablations.yaml`` beside a file of one's own.

An ablation is a name for some overrides, so its run is the same run that those overrides give.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merbench import guard
from merbench.config import shipped
from merbench.errors import UserError, visible
from merbench.registry import nearest

ALL = "all"
LARGEST = 2**18
"""Bytes of a file of ablations."""

REMEDY = "docs/add-a-method.md shows how ablations are written"


@dataclass(frozen=True)
class Ablation:
    """One change against the whole method.

    Attributes:
        name: ``without-attention``.
        about: what is changed, in a line.
        overrides: such as ``method.attention=false``.
        paper: what the paper reports of it, in words or figures with their source; empty where that is not known.
    """

    name: str
    about: str
    overrides: tuple[str, ...]
    paper: str = ""


def asked(method: str, name: str, overrides: Sequence[str] = ()) -> tuple[Ablation, ...]:
    """Return the ablation of this name, or all of them.

    Args:
        method: a method's name, or the path of its own file.
        name: of an ablation; ``all``.
        overrides: asked for beside it, of the whole method and of its ablations.

    Raises:
        UserError: there is none of this name, its file is damaged, or an override sets what an ablation sets.
    """
    every = listed(method)
    if not every:
        raise UserError(f"no ablations of {method} are written down", where=place(method), remedy=REMEDY)
    chosen = tuple(each for each in every if name in (each.name, ALL))
    if not chosen:
        raise UserError(
            f"{method} has no ablation '{name}'", where="--ablation", remedy=nearest(name, (ALL, *(each.name for each in every)))
        )
    for each in chosen:
        twice = sorted(_keys(each.overrides) & _keys(overrides))
        if twice:
            raise UserError(
                f"the ablation {each.name} sets {twice[0]} itself",
                where=f"--ablation {name}",
                remedy=f"leave {twice[0]} out, or run it without --ablation",
            )
    return chosen


def listed(method: str) -> tuple[Ablation, ...]:
    """Return all ablations of a method, in the order of their file; none where there is no file.

    Raises:
        UserError: the file is damaged.
    """
    path = place(method)
    if not path.exists():
        return ()
    try:
        return tuple(_ablation(str(name), told) for name, told in guard.parse_table(guard.read(path, LARGEST)).items())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(f"the ablations of {method} cannot be read: {reason}", where=path, remedy=REMEDY) from error


def place(method: str) -> Path:
    """Return the file in which a method's ablations are written down, whether or not it is there."""
    if method.endswith(".py"):
        return Path(method).with_suffix(".ablations.yaml")
    return shipped("experiments") / method / "ablations.yaml"


def _ablation(name: str, told: Any) -> Ablation:
    """Return an ablation as its file tells it.

    Raises:
        ValueError: something is missing, unknown or of another kind.
    """
    if name == ALL or not name.replace("-", "").isalnum():
        raise ValueError(f"'{name[:40]}' is no name of an ablation: letters, digits and hyphens")
    if not isinstance(told, dict) or not {"about", "settings"} <= set(told) <= {"about", "settings", "paper"}:
        raise ValueError(f"{name}: it has about, settings and, where it is known, paper")
    about, paper, settings = told["about"], told.get("paper") or "", told["settings"]
    if {type(about), type(paper)} != {str}:
        raise ValueError(f"{name}: about and paper are words; a number stands in quotes")
    if not isinstance(settings, dict) or not set(settings) <= {"method", "training"}:
        raise ValueError(f"{name}: settings are of method and training")
    empty = [part for part, each in settings.items() if not isinstance(each, dict) or not each]
    if empty or not settings:
        raise ValueError(f"{name}: it changes nothing{f' of {empty[0]}' if empty else ''}")
    overrides = tuple(f"{part}.{key}={json.dumps(value)}" for part, each in settings.items() for key, value in each.items())
    return Ablation(name, visible(about, keep=""), overrides, visible(paper, keep=""))


def _keys(overrides: Sequence[str]) -> set[str]:
    return {item.partition("=")[0].strip() for item in overrides}
