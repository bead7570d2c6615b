"""merbench.yaml: where data lie on this machine. Written by ``merbench data set``, overruled by environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from merbench import guard
from merbench.errors import UserError
from merbench.registry import nearest

SETTINGS = Path("merbench.yaml")
"""In the folder in which a command is run, like ``runs`` and ``prepared``."""

SYNTHETIC, APEXES = "synthetic", "apex"

PLACES = (
    *sorted(path.stem.replace("_", "-") for path in (Path(__file__).parent / "data" / "sources").glob("[a-z]*.py")),
    *(SYNTHETIC, APEXES),
)
"""What a folder can be remembered for: each file of `data.sources`, rendered databases, and a user's table of apexes."""

LONGEST = 2**16
"""Bytes of the file."""


def variable(name: str) -> str:
    """Return the environment variable that overrules a data source's folder: MERBENCH_PUBLISHED_FLOW for published-flow."""
    return "MERBENCH_" + name.upper().replace("-", "_")


def data_path(name: str) -> Path | None:
    """Return where a data source lies; None where neither the environment nor merbench.yaml says.

    Raises:
        UserError: merbench.yaml is no valid settings file.
    """
    path = os.environ.get(variable(name)) or _settings(_document()).get(name)
    return expand(Path(path)) if path else None


def expand(path: Path) -> Path:
    """Return a path with its ``~`` replaced.

    Raises:
        UserError: there is no such user's home.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UserError(str(error), where=path, remedy="write the whole path") from error


def remember_data_path(name: str, path: Path) -> None:
    """Write a data source's folder into merbench.yaml, whole or not at all.

    Raises:
        UserError: the file there is not valid, or the folder cannot be written to.
    """
    document = _document()
    document["data"] = {**_settings(document), name: str(path)}
    text = _edited(name, str(path), document)
    target = SETTINGS.resolve()  # a link stays a link
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the settings cannot be written: {error.strerror}",
            where=SETTINGS.absolute(),
            remedy=f"make the folder writable, or set {variable(name)} instead",
        ) from error


def _edited(name: str, path: str, wanted: dict[str, Any]) -> str:
    """Return the settings' text with one line changed or added, so that a user's comments stay; written anew where that is not enough."""
    line = "  " + yaml.safe_dump({name: path}, allow_unicode=True, width=100_000)
    lines = SETTINGS.read_text(encoding="utf-8").splitlines(keepends=True) if SETTINGS.exists() else []
    lines = [each for each in lines if each.partition(":")[0] != f"  {name}"]
    places = [index for index, each in enumerate(lines) if each.rstrip() == "data:"]
    if places:
        lines.insert(places[0] + 1, line)
        text = "".join(lines)
        try:
            if guard.parse_yaml(text.encode()) == wanted:
                return text
        except ValueError:
            pass
    anew: str = yaml.safe_dump(wanted, allow_unicode=True)
    return "# where data lie on this machine; not for a repository\n" + anew


def _document() -> dict[str, Any]:
    """Return the whole settings file; empty where there is none."""
    if not SETTINGS.exists() and not SETTINGS.is_symlink():
        return {}
    try:
        document = guard.parse_table(guard.read(SETTINGS, LONGEST))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"the settings cannot be read: {reason}", where=SETTINGS.absolute(), remedy="correct or delete the file") from error
    for key in document:
        if key != "data":
            raise _unknown(key, ["data"])
    return document


def _settings(document: dict[str, Any]) -> dict[str, str]:
    data = document.get("data", {})
    if not isinstance(data, dict) or not all(isinstance(path, str) and path.isprintable() for path in data.values()):
        raise UserError(
            "the settings' table 'data' does not give a folder to each name", where=SETTINGS.absolute(), remedy="correct or delete the file"
        )
    for name in data:
        if name not in PLACES:
            raise _unknown(name, PLACES)
    return {str(name): path for name, path in data.items()}


def _unknown(name: object, known: Iterable[str]) -> UserError:
    return UserError(
        f"the settings have no name '{name}'", where=SETTINGS.absolute(), remedy=f"correct the file: {nearest(str(name), known)}"
    )
