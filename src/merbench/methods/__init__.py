"""The methods: one file each, named as its method is registered. No method imports another."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from merbench.errors import UserError
from merbench.registry import nearest

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])))
"""All methods, known without importing any, so that a misspelt one is answered at once."""


def check(name: str) -> None:
    """Refuse an unknown method without importing torch.

    Raises:
        UserError: nothing has that name; the nearest one is offered.
    """
    if name not in NAMES:
        raise UserError(f"there is no method '{name}'", remedy=nearest(name, NAMES))


def load(name: str) -> None:
    """Import a method's file, which registers it.

    Raises:
        UserError: nothing has that name.
    """
    check(name)
    importlib.import_module(f"merbench.methods.{name}")
