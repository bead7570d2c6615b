"""The request: frozen, typed, merged from defaults, preset and overrides; and the key that names its run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from merbench import guard
from merbench.errors import UserError

Preset = Literal["full", "quick"]
Apex = Literal["middle", "flow", "table"]
Face = Literal["aligned", "owner"]

LONGEST = 2**20
"""Bytes of a YAML file of ours, with room to spare."""

LATER = ("balance", "schedule", "decay", "decay_every", "rotate", "crop", "crop_at", "brightness", "inner")
"""Settings of training that came when runs were kept already. At their defaults they stand in no request, key or plan, which are those of
before: whoever does not use them finds finished runs finished."""


@dataclasses.dataclass(frozen=True)
class Data:
    """What is judged, and how it was made ready.

    Attributes:
        on: ``smic+casme2`` or ``3db``.
        source: where its arrays come from.
        apex: what stands for an apex that a sheet does not give: the middle frame, the one with most motion, or the user's own table.
        face: found and aligned, or as the owners cropped it.
    """

    on: str = "3db"
    source: str = "published-flow"
    apex: Apex = "middle"
    face: Face = "aligned"

    @property
    def changes(self) -> tuple[str, ...]:
        """Return what is not as usual, for the row's name."""
        usual = Data()
        return tuple(f"{name}={getattr(self, name)}" for name in ("apex", "face") if getattr(self, name) != getattr(usual, name))


@dataclasses.dataclass(frozen=True)
class Training:
    """How a fold is trained, where the method's stage does not say otherwise.

    Attributes:
        epochs: of the last stage.
        batch: at most so many clips a step; an epoch has ceil(largest fold / batch) steps in every fold, nearly equal in size.
        lr, weight_decay: of the method's optimiser (Adam unless the method says otherwise).
        order: ``shuffled`` anew each epoch, or ``by-class`` in listed order, the same each epoch, as the public ports read their folders.
        mirror: each training clip is mirrored with probability one half each epoch.
        record: keep held-out probabilities of ``every`` epoch of the last stage, or of the ``last`` one only (then there are no oracle
            readings). The weights are the same.
        balance: each epoch, clips of the smaller classes are repeated until every class of the fold has as many as the largest; which ones
            are repeated once more than others is drawn anew.
        schedule: of the learning rate, by epoch: ``constant``; ``step``, multiplied by ``decay`` after every ``decay_every`` epochs; or ``cosine``,
            from ``lr`` towards zero over the stage.
        decay, decay_every: of schedule ``step``.
        rotate: with probability one half a training clip's face is turned about its middle, by at most so many degrees.
        crop: training clips are cropped to this side, in sides of the face, and brought back to their size.
        crop_at: in one of the four ``corners``, or ``anywhere`` in the face.
        brightness: with probability one half all frames of a training clip are brighter or darker, by at most so many grey levels of 255.
        inner: each fold also trains so many models that each leave out a share of its training subjects; by them reading ``inner`` chooses the
            epoch. The fold's own training is the same bits with and without them.
    """

    epochs: int = 60
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    order: Literal["shuffled", "by-class"] = "shuffled"
    mirror: bool = False
    record: Literal["every", "last"] = "every"
    balance: bool = False
    schedule: Literal["constant", "step", "cosine"] = "constant"
    decay: float = 0.1
    decay_every: int = 10
    rotate: float = 0.0
    crop: float = 1.0
    crop_at: Literal["corners", "anywhere"] = "corners"
    brightness: float = 0.0
    inner: int = 0


@dataclasses.dataclass(frozen=True)
class Request:
    """One run: everything that decides its numbers, beside the data themselves. Seeds are not in it; they add folds.

    Attributes:
        method: registered name.
        arguments: every constructor argument of the method, defaults included.
        initial: SHA-256 of the file of weights from which each fold starts, in hexadecimal; empty where there is none.
        changes: what was overridden against the preset, for the row's name; follows from the rest, so it is not in the key.
    """

    method: str
    arguments: Mapping[str, Any]
    data: Data
    scheme: str = "megc3"
    protocol: str = "loso"
    preset: Preset = "full"
    training: Training = dataclasses.field(default_factory=Training)
    initial: str = ""
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``svm_flow``, or ``svm_flow[c=3.0]`` where something was overridden."""
        return f"{self.method}[{','.join(self.changes)}]" if self.changes else self.method


def shipped(folder: Literal["data_manifests", "experiments"]) -> Path:
    """Return a folder that comes with merbench: beside the package when installed, in the root of a checkout."""
    package = Path(__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parents[1] / folder


def canonical(value: Any) -> Any:
    """Return dataclasses, tuples and paths as plain JSON values, the same on every machine and Python.

    Raises:
        ValueError: a number is not finite, or a value has no canonical form.
    """
    if value is None or isinstance(value, (str, int)):  # first: of thousands of clips nearly all is this
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be part of a request")
        return value
    if isinstance(value, (tuple, list)):
        return [canonical(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise ValueError(f"a {type(value).__name__} cannot be part of a request")


def identity(request: Request) -> dict[str, Any]:
    """Return a request in canonical form, without what came later and is not used: see `LATER`."""
    whole: dict[str, Any] = canonical(request)
    usual = Training()
    whole["training"] = {
        name: value
        for name, value in whole["training"].items()
        if name not in LATER or getattr(request.training, name) != getattr(usual, name)
    }
    if not request.initial:
        del whole["initial"]
    return whole


def digest(value: Any, length: int = 16) -> str:
    """Return a hash of the canonical form, in hexadecimal."""
    # what is plain already, as the names and numbers of a thousand clips, is not gone through in Python
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=canonical)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def run_key(request: Request, fingerprint: str, versions: Mapping[str, int], method_file: str = "", macro: str = "") -> str:
    """Return the name of a run's folder.

    Args:
        request: its ``changes`` are left out, since they follow from the rest.
        fingerprint: of annotations and prepared data.
        versions: ``results_version`` of the method and of the engine: raised when the same request begins to give other numbers.
        method_file, macro: hash of a method that is a file of its own; of the macro clips it is pre-trained on. Empty where it is not.
    """
    asked = identity(request)
    del asked["changes"]
    named = {"request": asked, "data": fingerprint, "versions": dict(versions), "method_file": method_file}
    return digest(named | ({"macro": macro} if macro else {}))


def load_request(path: Path) -> Request:
    """Read a ``request.yaml``.

    Raises:
        UserError: it is missing, no YAML, or not a request of this version.
    """
    try:
        return parse_request(guard.read(path, LONGEST))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the request of a run cannot be read: {reason(error)}", where=path, remedy="move this run's folder away and run it again"
        ) from error


def parse_request(content: bytes) -> Request:
    """Return what the text of a ``request.yaml`` asks for.

    Raises:
        ValueError: it is no YAML, or not a request of this version.
    """
    parts = dict.fromkeys(("data", "training"), dict[str, Any])
    raw = guard.checked({"initial": "", **guard.parse_table(content)}, typing.get_type_hints(Request) | parts)
    usual = canonical(Training())
    raw["training"] = {**{name: usual[name] for name in LATER}, **raw["training"]}
    for part, kind in (("data", Data), ("training", Training)):
        raw[part] = kind(**guard.checked(raw[part], typing.get_type_hints(kind)))
    request = Request(**{**raw, "changes": tuple(raw["changes"])})
    if not re.fullmatch("([0-9a-f]{64})?", request.initial, re.ASCII):
        raise ValueError("'initial' is no SHA-256")
    words = (request.method, request.data.on, request.data.source, request.scheme, request.protocol, *request.changes)
    if not all(word and word.isprintable() for word in words):
        raise ValueError("a name in it is empty or has characters that cannot be seen")
    canonical(request.arguments)
    guard.plain(request.method)  # it becomes a folder
    return request


def reason(error: Exception) -> str:
    """Return what a file's fault is, without the path that stands beside it."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
