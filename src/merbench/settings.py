"""merbench.yaml: where data lie on this machine. Written by ``merbench data set``, overruled by environment variables."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
    path = os.environ.get(variable(name)) or _settings().get(name)
    return Path(path).expanduser() if path else None


def remember_data_path(name: str, path: Path) -> None:
    """Write a data source's folder into merbench.yaml, whole or not at all.

    Raises:
        UserError: the file there is not valid, or the folder cannot be written to.
    """
    text = yaml.safe_dump({"data": {**_settings(), name: str(path)}}, allow_unicode=True)
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=SETTINGS.absolute().parent, delete=False) as file:
            file.write("# where data lie on this machine; not for a repository\n" + text)
        Path(file.name).replace(SETTINGS)
    except OSError as error:
        raise UserError(
            f"the settings cannot be written: {error.strerror}",
            where=SETTINGS.absolute(),
            remedy=f"make the folder writable, or set {variable(name)} instead",
        ) from error


def _settings() -> dict[str, str]:
    if not SETTINGS.is_file():
        return {}
    try:
        raw = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"the settings are no YAML: {str(error).splitlines()[0]}", where=SETTINGS.absolute(), remedy="correct or delete the file"
        ) from error
    data = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(data, dict) or not all(isinstance(path, str) for path in data.values()):
        raise UserError(
            "the settings have no table 'data' of names and folders", where=SETTINGS.absolute(), remedy="correct or delete the file"
        )
    return {str(name): path for name, path in data.items()}
