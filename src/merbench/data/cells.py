"""What a cell of an owners' sheet means: frame numbers, action units, emotions, however they were typed."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: ord(" "), 0x3001: ord(",")}
"""Full-width signs as Chinese keyboards write them. NFKC would take an exponent for a digit too."""

UNSEEN = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))
"""Characters without width that copying leaves in a cell."""

LONGEST = 100
"""Characters of a cell in which a number is looked for; a longer one is none."""

FRAME_NUMBER = re.compile(r"[0-9]{1,12}(\.0*)?")
NOT_GIVEN = frozenset({"", "/", "-", "--", "\u2013", "\u2014", "n/a", "?", "nan"})

SPELLINGS = (
    (re.compile(r"\bau\s*(?=[lr]?\s*[0-9])", re.IGNORECASE), ""),
    (re.compile(r"\b([lr])\s+(?=[0-9])", re.IGNORECASE), r"\1"),
    (re.compile(r"(?<=[0-9a-z?)])\s+(?=\?|\([a-z]\))", re.IGNORECASE), ""),
    (re.compile(r"(?<![a-z])or(?=[^a-z]|$|[lr]?[0-9]|au)", re.IGNORECASE), "|"),
    (re.compile(r"(?<![a-z])and(?![a-z])", re.IGNORECASE), "+"),
)
"""``AU 4`` is 4, ``L 4`` is L4, ``12 ?`` is 12?; then the words between units as signs."""

UNIT = re.compile(r"(?:\([a-z]\)|[^\s+,;&|()])+|[|()]", re.IGNORECASE)
KIND = re.compile(r"(\([a-z]\))", re.IGNORECASE)


def frame(text: str) -> int | None:
    """Return a frame number out of a cell; None where the owners give none (an empty cell, ``/``, ``-``, ``n/a``, ``?``).

    Raises:
        ValueError: the cell says something else: a fraction, a negative number, thousands, a date, an error, a formula never computed.
    """
    plain = " ".join(text.translate(WIDE).translate(UNSEEN).split()).casefold() if len(text) <= LONGEST else text
    if plain in NOT_GIVEN:
        return None
    if FRAME_NUMBER.fullmatch(plain):
        return int(plain.partition(".")[0])
    raise ValueError(f"{quoted(text)} is no frame number")


@lru_cache(4096)  # a sheet has a few words, a hostile one a long word in many cells
def word(text: str) -> str:
    """Return an emotion's cell in lower case and plain width, blanks as one: ``Others `` is ``others``."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(UNSEEN).casefold().split())


@lru_cache(4096)
def units(text: str) -> tuple[str, ...]:
    """Return the action units of a cell in its order, each once: ``l4 + AU12`` is ``("L4", "12")``.

    A letter of intensity or kind stays (``12B``, ``12(k)``). Units between which the coder did not decide, all those of a bracket
    among them, end with a question mark: ``R6 or R12`` is ``("R6?", "R12?")``.
    """
    plain = " ".join(text.translate(WIDE).translate(UNSEEN).split())
    for spelling, plainer in SPELLINGS:
        plain = spelling.sub(plainer, plain)
    found: list[tuple[str, int]] = []
    doubtful, group, depth, undecided = set(), 0, 0, False
    for sign in UNIT.findall(plain):
        if sign in "()":
            group += depth == 0
            depth = max(0, depth + (1 if sign == "(" else -1))
        elif sign == "|":
            doubtful.add(group)
            undecided = True
        elif not sign.strip("?"):
            doubtful.add(group)
        elif sign.casefold() not in NOT_GIVEN:
            group += depth == 0
            if undecided or "?" in sign:
                doubtful.add(group)
            undecided = False
            found.append((sign.replace("?", ""), group))
    return tuple(dict.fromkeys(_unit(sign) + ("?" if of in doubtful else "") for sign, of in found))


def quoted(cell: str) -> str:
    """Return a cell as a message names it."""
    if cell.startswith("="):
        return f"'{cell[:80]}' (a formula that was never computed)"
    return f"'{cell[:80]}'" if cell else "an empty cell"


def _unit(sign: str) -> str:
    return "".join(part if KIND.fullmatch(part) else part.upper() for part in KIND.split(sign))
