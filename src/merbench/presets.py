"""From constructor defaults, presets and overrides to a request. Here, not in `config`, so that what trains nothing need not wait for OmegaConf."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from merbench import guard
from merbench.config import LONGEST, Data, Preset, Request, Training, canonical, identity, reason, shipped
from merbench.errors import UserError
from merbench.registry import nearest

COMMAND_LINE = "the command line"
"""Where an override is at fault: how messages about one begin to say so."""

MOST = {"epochs": 10_000, "batch": 1_000_000, "decay_every": 10_000}
"""Whole numbers of training that mean something; papers train for 900 epochs, and all sets together have a few thousand clips."""

INNER = 20
"""Most inner trainings of a fold: each leaves out a share of the training subjects, and a single database has some sixteen."""

RANGES: dict[str, tuple[float, float, str]] = {
    "decay": (0.0, 1.0, "a number from 0 to 1: what the rate is multiplied by"),
    "rotate": (0.0, 180.0, "degrees from 0 to 180"),
    "crop": (0.1, 1.0, "the side of the crop in sides of the face, from 0.1 to 1"),
    "brightness": (0.0, 255.0, "grey levels of 255, from 0"),
}
"""From where to where a setting of training means something, both ends included, and what it is."""


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
    own: Path | None = None,
) -> Request:
    """Merge constructor and training defaults, the preset's file and dotted overrides into one request.

    Args:
        method: registered name.
        constructor: the method's class; the arguments of its ``__init__`` after ``classes`` are its configuration.
        data, scheme, protocol, preset, initial: as in `Request`.
        overrides: such as ``method.c=3`` and ``training.epochs=20``.
        own: the method's file, where it is one of the user's own: its presets lie beside it.

    Raises:
        UserError: an unknown key, a wrong type or an impossible value; the file or argument is named.
    """
    schema = _schema(method, constructor)
    settled = _merge(schema, _preset_files(method, preset, own))
    asked = _merge(settled, [(f"{COMMAND_LINE}: {' '.join(overrides)}"[:300], _dotlist(overrides))])
    training = typing.cast(Training, OmegaConf.to_object(asked.training))
    check(training)
    return Request(
        method=method,
        arguments=_used(constructor, _plain(asked.method)),
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


def _preset_files(method: str, preset: Preset, own: Path | None) -> list[tuple[str, DictConfig]]:
    """Return the preset's layers: the method's full settings, then for ``quick`` what shortens them."""
    root = shipped("experiments")

    def place(name: str) -> Path:
        beside = None if own is None else own.with_suffix(f".{name}.yaml")
        return beside if beside is not None and beside.exists() else root / method / f"{name}.yaml"

    paths = [place("full")]
    if preset == "quick":
        paths += [root / "quick.yaml", place("quick")]
    return [(str(path), _preset(path, root)) for path in paths if path.exists()]


def _preset(path: Path, root: Path) -> DictConfig:
    try:
        return OmegaConf.create(guard.parse_table(guard.read(path, LONGEST)))
    except (OSError, ValueError, OmegaConfBaseException) as error:
        ours = path.is_relative_to(root)
        remedy = (
            "correct it, or restore it: git checkout -- experiments" if ours else "correct it; docs/add-a-method.md shows how it is written"
        )
        raise UserError(f"a preset cannot be read: {reason(error)}", where=path, remedy=remedy) from error


def _used(constructor: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out the arguments that came when runs were kept already and are at their defaults: requests and keys are those of before."""
    parameters, later = inspect.signature(constructor).parameters, getattr(constructor, "later", ())
    return {name: value for name, value in arguments.items() if name not in later or value != canonical(parameters[name].default)}


def _dotlist(overrides: Sequence[str]) -> DictConfig:
    for item in overrides:
        if len(item) > 1000:
            raise UserError(f"an override is {len(item):,} characters long", where=item[:60], remedy="write key=value")
        key, equals, _ = item.partition("=")
        if not equals or not key.strip():
            raise UserError(
                f"'{item}' is no override", where=COMMAND_LINE, remedy="write key=value, as in training.epochs=20 or method.c=3"
            )
        if key.strip() in ("method", "training"):
            raise UserError(f"'{item[:60]}' names no single setting", where=COMMAND_LINE, remedy="write training.epochs=20, say")
        if any(sign.isdecimal() and not sign.isascii() for sign in item):
            raise UserError(f"'{item}' has digits of another script", where=COMMAND_LINE, remedy="write the number with the digits 0 to 9")
        if "${" in item or "???" in item:
            raise UserError(f"'{item}' has no value of its own", where=COMMAND_LINE, remedy="write the value itself")
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


def check(training: Training, of: str = "training.") -> None:
    """Refuse settings that mean nothing.

    Args:
        training: of a request, or of one of its stages.
        of: what stands before a setting's name in messages.

    Raises:
        UserError: a number is out of its range.
    """
    for name, most in MOST.items():
        if not 1 <= getattr(training, name) <= most:
            raise _out_of_range(training, of, name, f"a whole number from 1 to {most:,}")
    if training.inner and not 2 <= training.inner <= INNER:
        share = "each inner training leaves out so large a share of the subjects"
        raise _out_of_range(training, of, "inner", f"a whole number from 2 to {INNER}, such as 3, or 0 for none: {share}")
    for name in ("lr", "weight_decay"):
        if not 0 <= getattr(training, name) < math.inf:
            raise _out_of_range(training, of, name, "a finite number from 0")
    for name, (low, high, what) in RANGES.items():
        if not low <= getattr(training, name) <= high:
            raise _out_of_range(training, of, name, what)


def _out_of_range(training: Training, of: str, name: str, wanted: str) -> UserError:
    return UserError(f"{of}{name} is {str(getattr(training, name))[:60]}", where=f"{of}{name}", remedy=f"give {wanted}")
