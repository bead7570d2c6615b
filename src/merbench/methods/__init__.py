"""The methods: one file each, named as its method is registered. No method imports another."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path

from merbench.errors import UserError
from merbench.registry import nearest

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])))
"""All methods that come with merbench, known without importing any, so that a misspelt one is answered at once."""


def is_file(method: str) -> bool:
    """Tell whether a method is asked for by its own file, ``my_method.py``, rather than by name."""
    return method.endswith(".py")


def check(method: str) -> None:
    """Refuse an unknown method without importing torch.

    Raises:
        UserError: nothing has that name, or there is no such file.
    """
    if is_file(method):
        path = Path(method)
        if not path.is_file():
            raise UserError(
                "there is no such file", where=path.absolute(), remedy="name a method, or the file in which yours is registered"
            )
        if path.stem in NAMES or not path.stem.isidentifier():
            raise UserError(
                f"a method of one's own cannot be called '{path.stem}'",
                where=path.absolute(),
                remedy="rename the file: a Python name that no method of merbench has",
            )
    elif method not in NAMES:
        raise UserError(f"there is no method '{method}'", remedy=nearest(method, NAMES) + "; or a file of your own: ./my_method.py")


def load(method: str) -> str:
    """Import a method by name or by its own file, and return the name under which it is registered.

    Raises:
        UserError: nothing has that name, the file cannot be imported, or it registers no method of its own name.
    """
    check(method)
    if not is_file(method):
        importlib.import_module(f"merbench.methods.{method}")
        return method
    path = Path(method)
    module_name = f"merbench_own_{path.stem}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None, "a .py file has a loader"
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # whatever a user's file raises, the message names the line
            del sys.modules[module_name]
            line = traceback.extract_tb(error.__traceback__)[-1]
            raise UserError(
                f"the method's file cannot be imported: {type(error).__name__}: {error}",
                where=f"{line.filename}:{line.lineno}",
                remedy="correct the file; merbench/methods/ststnet.py is an example",
            ) from error
    from merbench.method import METHODS

    if path.stem not in METHODS:
        raise UserError(
            f"the file registers no method '{path.stem}'",
            where=path.absolute(),
            remedy=f'put @METHODS.add("{path.stem}") above its class: a method is called as its file',
        )
    return path.stem


def source_hash(method: str) -> str:
    """Return the SHA-256 of a method's own file, so that an edited method is another run; empty for those with a results_version."""
    return hashlib.sha256(Path(method).read_bytes()).hexdigest() if is_file(method) else ""
