"""Imported by the fork server and by nothing else: what a process that it forks says when its parent went away before it had begun.

The parent was ended while its workers started; whoever ended it is told so by the parent, and needs no traceback of a half-read pipe.
"""

from __future__ import annotations

import pickle
import sys
from types import TracebackType

WITHOUT_PARENT = (EOFError, BrokenPipeError, ConnectionResetError, pickle.UnpicklingError)
"""What reading one's work from a parent that is gone raises: nothing came, or half of it."""


def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what no one caught, unless it is that the parent is gone."""
    if not issubclass(kind, WITHOUT_PARENT):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = say
