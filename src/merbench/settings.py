"""merbench.yaml: where data lie on this machine. Written by ``merbench data set``, overruled by environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from merbench.errors import UserError

SETTINGS = Path("merbench.yaml")
"""In the folder in which a command is run, like ``runs`` and ``prepared``."""


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
    text = "# where data lie on this machine; not for a repository\n" + yaml.safe_dump(document, allow_unicode=True)
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


def _document() -> dict[str, Any]:
    """Return the whole settings file; empty where there is none."""
    if not SETTINGS.exists() and not SETTINGS.is_symlink():
        return {}
    try:
        raw = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(
            f"the settings cannot be read: {(str(error) or 'too deep').splitlines()[0]}",
            where=SETTINGS.absolute(),
            remedy="correct or delete the file",
        ) from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UserError("the settings are no table", where=SETTINGS.absolute(), remedy="correct or delete the file")
    return raw


def _settings(document: dict[str, Any]) -> dict[str, str]:
    data = document.get("data", {})
    if not isinstance(data, dict) or not all(isinstance(path, str) for path in data.values()):
        raise UserError(
            "the settings' table 'data' does not give a folder to each name", where=SETTINGS.absolute(), remedy="correct or delete the file"
        )
    return {str(name): path for name, path in data.items()}
