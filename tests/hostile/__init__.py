"""Bad and hostile input, family by family: what is refused, and that the message names file, place and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from merbench.errors import UserError
from tests.conftest import Answer

MESSAGE = re.compile(r"^(?:merbench|left out): (?P<what>.*?)\nwhere: (?P<where>[^\n]*)\ndo: (?P<do>.*)", re.DOTALL | re.MULTILINE)


def refused(answer: Answer, *, file: str | Path, place: str, remedy: str, code: int = 2) -> None:
    """Assert that a command ended with one message that names the file, the place in it and what to do, and with nothing else."""
    said = answer.out + answer.err
    assert "Traceback" not in said, said
    assert answer.code == code, said
    found = list(MESSAGE.finditer(answer.err))
    assert len(found) == 1, said
    assert len(re.findall(r"^(?:where|do): ", answer.err, re.MULTILINE)) == 2, said
    what, where, do = found[0]["what"], found[0]["where"], found[0]["do"]
    assert str(file) in what + where, said
    assert place in what + where, said
    assert remedy in do, said
    assert all(sign.isprintable() or sign == "\n" for sign in answer.err), "nothing in a message moves the cursor"


def refusal(act: Callable[[], object], *, file: str | Path, place: str, remedy: str) -> None:
    """Assert the same of a function that no command reaches yet."""
    with pytest.raises(UserError) as caught:
        act()
    assert str(file) in caught.value.where
    assert place in caught.value.what
    assert remedy in caught.value.remedy
