"""The methods: one file each, named as its method is registered. No method imports another."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import sys
import traceback
import types
from dataclasses import dataclass
from pathlib import Path

from merbench import guard
from merbench.errors import UserError, told
from merbench.registry import nearest

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])))
"""All methods that come with merbench, known without importing any, so that a misspelt one is answered at once."""


LARGEST = 2**22
"""Bytes of a method's own file."""


def is_file(method: str) -> bool:
    """Tell whether a method is asked for by its own file, ``my_method.py``, rather than by name."""
    return method.endswith(".py")


def own(method: str) -> Path | None:
    """Return the method's own file, beside which its presets and ablations lie; None for those of merbench."""
    return Path(method) if is_file(method) else None


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


@dataclass(frozen=True)
class Loaded:
    """A method that is registered now.

    Attributes:
        name: under which it is registered.
        source: the text of its own file, read once; None for those of merbench. Workers run this text, whatever is edited meanwhile.
    """

    name: str
    source: bytes | None = None

    @property
    def source_hash(self) -> str:
        """Return the SHA-256 of its own file, so that an edited method is another run; empty for those with a results_version."""
        return "" if self.source is None else hashlib.sha256(self.source).hexdigest()


def load(method: str, source: bytes | None = None) -> Loaded:
    """Import a method by name or by its own file.

    Args:
        method: name or path.
        source: the file's text where it was read before.

    Raises:
        UserError: nothing has that name, the file cannot be imported, or it registers no method of its own name.
    """
    if not is_file(method):
        check(method)
        importlib.import_module(f"merbench.methods.{method}")
        return Loaded(method)
    if source is None:
        check(method)
        source = _text(Path(method))
    from merbench.method import METHODS

    path, name = Path(method), Path(method).stem
    module_name = f"merbench_own_{name}"
    if module_name in sys.modules:
        return Loaded(name, sys.modules[module_name].__dict__["SOURCE"])
    module = types.ModuleType(module_name)
    module.__dict__.update(__file__=str(path), SOURCE=source)
    sys.modules[module_name] = module
    before = set(METHODS)
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102  # the user's own program
    except (Exception, SystemExit) as error:
        _forget(module_name, set(METHODS) - before)
        raise UserError(
            f"the method's file cannot be imported: {told(error)[:300]}",
            where=line_of(error, path),
            remedy="correct the file; docs/add-a-method.md has an example",
        ) from error
    if name not in METHODS:
        _forget(module_name, set(METHODS) - before)
        raise UserError(
            f"the file registers no method '{name}'",
            where=path.absolute(),
            remedy=f'put @METHODS.add("{name}") above its class: a method is called as its file',
        )
    return Loaded(name, source)


def _text(path: Path) -> bytes:
    """Return the text of a method's file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return guard.read(path, LARGEST)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"the method's file cannot be read: {reason}", where=path.absolute(), remedy="name the file of your method"
        ) from error


def line_of(error: BaseException, path: Path) -> str:
    """Return the last line of a method's file that an error passed through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _forget(module_name: str, methods: set[str]) -> None:
    """Take back what a file that failed has registered."""
    from merbench.method import METHODS

    del sys.modules[module_name]
    for name in methods:
        METHODS.remove(name)
