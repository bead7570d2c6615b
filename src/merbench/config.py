"""The request: frozen, typed, merged from defaults, preset and overrides; and the key that names its run."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from merbench import guard
from merbench.errors import UserError
from merbench.registry import nearest

Preset = Literal["full", "quick"]
Apex = Literal["middle", "flow", "table"]
Face = Literal["aligned", "owner"]

LONGEST = 2**20
"""Bytes of a YAML file of ours, with room to spare."""

MOST = {"epochs": 10_000, "batch": 1_000_000, "decay_every": 10_000}
"""Whole numbers of training that mean something; papers train for 900 epochs, and all sets together have a few thousand clips."""

RANGES: dict[str, tuple[float, float, str]] = {
    "decay": (0.0, 1.0, "a number from 0 to 1: what the rate is multiplied by"),
    "rotate": (0.0, 180.0, "degrees from 0 to 180"),
    "crop": (0.1, 1.0, "the side of the crop in sides of the face, from 0.1 to 1"),
    "brightness": (0.0, 255.0, "grey levels of 255, from 0"),
}
"""From where to where a setting of training means something, both ends included, and what it is."""

LATER = ("balance", "schedule", "decay", "decay_every", "rotate", "crop", "crop_at", "brightness")
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


def resolve(
    method: str,
    constructor: type,
    *,
    data: Data,
    scheme: str = "megc3",
    protocol: str = "loso",
    preset: Preset = "full",
    overrides: Sequence[str] = (),
    initial: str = "",
) -> Request:
    """Merge constructor and training defaults, the preset's file and dotted overrides into one request.

    Args:
        method: registered name.
        constructor: the method's class; the arguments of its ``__init__`` after ``classes`` are its configuration.
        data, scheme, protocol, preset, initial: as in `Request`.
        overrides: such as ``method.c=3`` and ``training.epochs=20``.

    Raises:
        UserError: an unknown key, a wrong type or an impossible value; the file or argument is named.
    """
    schema = _schema(method, constructor)
    settled = _merge(schema, _preset_files(method, preset))
    asked = _merge(settled, [(f"the command line: {' '.join(overrides)}"[:300], _dotlist(overrides))])
    training = typing.cast(Training, OmegaConf.to_object(asked.training))
    _check(training)
    return Request(
        method=method,
        arguments=_plain(asked.method),
        data=data,
        scheme=scheme,
        protocol=protocol,
        preset=preset,
        training=training,
        initial=initial,
        changes=(
            *data.changes,
            *([f"initial weights {initial[:8]}"] if initial else []),
            *_changes(_plain(settled), _plain(asked)),
        ),
    )


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
        parts = dict.fromkeys(("data", "training"), dict[str, Any])
        raw = guard.checked({"initial": "", **guard.parse_table(guard.read(path, LONGEST))}, typing.get_type_hints(Request) | parts)
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
        return request
    except (OSError, ValueError) as error:
        raise UserError(
            f"the request of a run cannot be read: {_reason(error)}", where=path, remedy="move this run's folder away and run it again"
        ) from error


def _reason(error: Exception) -> str:
    """Return what a file's fault is, without the path that stands beside it."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def dump_request(request: Request) -> str:
    """Return a request as YAML, keys in the order of `Request`."""
    return OmegaConf.to_yaml(OmegaConf.create(identity(request)))


def _schema(method: str, constructor: type) -> DictConfig:
    try:
        schema = OmegaConf.structured({"method": _arguments_schema(method, constructor), "training": Training})
    except (OmegaConfBaseException, TypeError, ValueError, NameError) as error:
        raise UserError(
            f"the arguments of method {method} cannot be configuration: {str(error).splitlines()[0]}",
            where=f"{constructor.__name__}.__init__",
            remedy="use bool, int, float, str, a Literal of them, None beside them, or a tuple of them, with defaults of that type",
        ) from error
    OmegaConf.set_struct(schema, True)
    return typing.cast(DictConfig, schema)


def _arguments_schema(method: str, constructor: type) -> type:
    """Make a dataclass of a constructor's arguments, so that OmegaConf checks them like any other part of a request."""
    hints = typing.get_type_hints(constructor.__init__)  # type: ignore[misc]  # read, not called
    fields: list[tuple[str, Any, Any]] = []
    for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
        if parameter.default is parameter.empty or parameter.name not in hints:
            raise UserError(
                f"argument '{parameter.name}' of method {method} needs a type and a default: it is configuration",
                where=f"{constructor.__name__}.__init__",
                remedy=f"write {parameter.name}: int = 3, say",
            )
        fields.append((parameter.name, hints[parameter.name], dataclasses.field(default=parameter.default)))
    return dataclasses.make_dataclass(f"{constructor.__name__}Arguments", fields, frozen=True)


def _preset_files(method: str, preset: Preset) -> list[tuple[str, DictConfig]]:
    """Return the preset's layers: the method's full settings, then for ``quick`` what shortens them."""
    root = shipped("experiments")
    paths = [root / method / "full.yaml"]
    if preset == "quick":
        paths += [root / "quick.yaml", root / method / "quick.yaml"]
    return [(str(path), _preset(path)) for path in paths if path.is_file()]


def _preset(path: Path) -> DictConfig:
    try:
        return OmegaConf.create(guard.parse_table(guard.read(path, LONGEST)))
    except (OSError, ValueError, OmegaConfBaseException) as error:
        raise UserError(
            f"a preset cannot be read: {_reason(error)}", where=path, remedy="correct it, or restore it: git checkout -- experiments"
        ) from error


def _dotlist(overrides: Sequence[str]) -> DictConfig:
    for item in overrides:
        if len(item) > 1000:
            raise UserError(f"an override is {len(item):,} characters long", where=item[:60], remedy="write key=value")
        key, equals, _ = item.partition("=")
        if not equals or not key.strip():
            raise UserError(
                f"'{item}' is no override", where="the command line", remedy="write key=value, as in training.epochs=20 or method.c=3"
            )
        if key.strip() in ("method", "training"):
            raise UserError(f"'{item[:60]}' names no single setting", where="the command line", remedy="write training.epochs=20, say")
        if any(sign.isdecimal() and not sign.isascii() for sign in item):
            raise UserError(
                f"'{item}' has digits of another script", where="the command line", remedy="write the number with the digits 0 to 9"
            )
        if "${" in item or "???" in item:
            raise UserError(f"'{item}' has no value of its own", where="the command line", remedy="write the value itself")
        try:
            guard.parse_yaml(item.partition("=")[2].encode(errors="surrogateescape"))
            OmegaConf.from_dotlist([item])
        except (ValueError, TypeError, OmegaConfBaseException) as error:
            raise UserError(
                f"an override cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}",
                where=item,
                remedy="write key=value, lists as 'method.widths=[3,5,8]' in quotes",
            ) from error
    try:
        return OmegaConf.from_dotlist(list(overrides))
    except (ValueError, TypeError, OmegaConfBaseException) as error:
        raise UserError(
            f"overrides contradict each other: {(str(error) or type(error).__name__).splitlines()[0]}",
            where=" ".join(overrides)[:300],
            remedy="write each setting once, by its whole name",
        ) from error


def _merge(base: DictConfig, layers: Sequence[tuple[str, DictConfig]]) -> DictConfig:
    merged = base
    for where, layer in layers:
        try:
            merged = typing.cast(DictConfig, OmegaConf.merge(merged, layer))
        except ConfigKeyError as error:
            raise _unknown_key(str(error.full_key or error.key), base, where) from error
        except (OmegaConfBaseException, TypeError, ValueError) as error:
            first, place = str(error).splitlines()[0], getattr(error, "full_key", None) or _culprit(merged, layer)
            if "$VALUE" in first:  # OmegaConf 2.4.0 leaves its own placeholders in messages about tuples
                first = "an element of a list has another type than the setting asks for"
            raise UserError(
                f"{place}: {first}" if place else first,
                where=where,
                remedy="give a value of the type it names",
            ) from error
    return merged


def _culprit(base: DictConfig, layer: DictConfig) -> str:
    """Return the one setting of a layer that cannot be merged, where OmegaConf does not say which."""
    for section, settings in layer.items():
        for name, value in settings.items() if isinstance(settings, DictConfig) else [("", settings)]:
            try:
                OmegaConf.merge(base, {section: {name: value} if name else value})
            except (OmegaConfBaseException, TypeError, ValueError):
                return f"{section!s}.{name!s}".strip(".")
    return ""


def _unknown_key(key: str, schema: DictConfig, where: str) -> UserError:
    known = [f"{section}.{name}" for section in ("method", "training") for name in schema[section]]
    bare = [name for name in known if name.split(".")[1] == key.split(".")[-1]]
    remedy = f"did you mean '{bare[0]}'? known: {', '.join(known)}" if bare else nearest(key, known)
    return UserError(f"there is no setting '{key}'", where=where, remedy=remedy)


def _plain(config: DictConfig) -> dict[str, Any]:
    try:
        return typing.cast("dict[str, Any]", canonical(OmegaConf.to_container(config)))
    except ValueError as error:
        raise UserError(str(error), where="the request", remedy="give a finite number") from error


def _changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    changed = []
    for section, settings in after.items():
        prefix = "" if section == "method" else f"{section}."
        changed += [f"{prefix}{name}={json.dumps(v).strip(chr(34))}" for name, v in settings.items() if v != before[section][name]]
    return tuple(changed)


def _check(training: Training) -> None:
    for name, most in MOST.items():
        if not 1 <= getattr(training, name) <= most:
            raise UserError(
                f"training.{name} is {str(getattr(training, name))[:60]}",
                where=f"training.{name}",
                remedy=f"give a whole number from 1 to {most:,}",
            )
    for name in ("lr", "weight_decay"):
        if not 0 <= getattr(training, name) < math.inf:
            raise UserError(f"training.{name} is {getattr(training, name)}", where=f"training.{name}", remedy="give a finite number from 0")
    for name, (low, high, what) in RANGES.items():
        if not low <= getattr(training, name) <= high:
            raise UserError(f"training.{name} is {getattr(training, name)}", where=f"training.{name}", remedy=f"give {what}")
