"""Whose clip it is: databases, subjects and clips as public code spells them, brought to the keys of merbench."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from merbench import guard
from merbench.data import databases

SMIC = ("smic", "smic-vis", "smic-nir", "smic-e")
"""Their people are the same and are spelled alike; a bare ``s01`` is taken for the first."""

ALIASES = {
    **dict.fromkeys(("smic", "smichs", "smichighspeed"), "smic"),
    **dict.fromkeys(("smice", "smicehs", "smichse", "smiclong"), "smic-e"),
    **dict.fromkeys(("smicvis", "smichsvis"), "smic-vis"),
    **dict.fromkeys(("smicnir",), "smic-nir"),
    **dict.fromkeys(("casme2", "casmeii", "cas2me", "casme02"), "casme2"),
    **dict.fromkeys(("samm", "sammme", "sammshort"), "samm"),
    **dict.fromkeys(("casme3", "casmeiii", "casme3parta", "casmeiiiparta", "cas3me", "casme33"), "casme3"),
}
"""Databases without case and signs."""

FORMS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"s([0-9]{1,2})", re.IGNORECASE), SMIC),
    (re.compile(r"sub([0-9]{1,2})", re.IGNORECASE), ("casme2",)),
    (re.compile(r"([0-9]{3})"), ("samm",)),
    (re.compile(r"spno[._]?([0-9]{1,4})", re.IGNORECASE), ("casme3",)),
)
"""What a bare subject's spelling tells of its database: ``s1`` and ``s01``, ``sub01``, ``006``, ``spNO.1``."""

NUMBER = re.compile(r"(?:[a-z]{1,8}[ ._-]?)?0*([0-9]{1,4})(?:\.0+)?", re.IGNORECASE)
WRITTEN: Mapping[str, Callable[[int], str]] = {
    **dict.fromkeys(SMIC, "s{:02d}".format),
    "casme2": "sub{:02d}".format,
    "samm": "{:03d}".format,
    "casme3": "spNO.{}".format,
}
"""A subject's number as the database's own folders have it."""

SIGN = re.compile(r"[/_:\\-]")
SHORT = 40
"""Characters in which a database may stand before a subject."""

OWN = re.compile(r"[a-z0-9][a-z0-9._+-]{0,39}")
ENDING = re.compile(r"\s*\.(?:png|jpe?g|bmp|tiff?|avi|mp4|mov|npy|npz|pt|mat)", re.IGNORECASE)
LONGEST = 300
CLASS_WORDS = ("negative", "positive", "surprise", "others", "happiness", "disgust", "repression", "anger", "contempt", "fear", "sadness")

REMEDY = (
    "write subjects as s01 (SMIC), sub01 (CASME II), 006 (SAMM) or spNO.1 (CAS(ME)^3), or with their database before them (casme2/sub01), or give a "
    "column 'database'; where all are of one database: --database NAME"
)


def database_of(text: str) -> str:
    """Return a database's name as merbench has it: ``CASME II`` is ``casme2``; one that merbench does not know keeps its own.

    Raises:
        ValueError: it cannot be a name.
    """
    bare = "".join(sign for sign in text.casefold() if sign.isalnum() and sign.isascii())
    if bare in ALIASES:
        return ALIASES[bare]
    name = text.strip().casefold().replace(" ", "-")
    if not OWN.fullmatch(name):
        raise ValueError(f"'{text[:40]}' is no name of a database")
    return name


def is_database(text: str) -> bool:
    """Return whether a word is the name of a database that merbench knows, however it is spelled."""
    try:
        return database_of(text) in databases.known()
    except ValueError:
        return False


def subject_of(text: str, database: str | None, fallback: str | None) -> str:
    """Return a subject with its database, ``casme2/sub01``.

    Args:
        text: as the file writes it, alone or with its database before it.
        database: that of the file's own column, where it has one.
        fallback: the one that the user names for subjects whose spelling does not tell.

    Raises:
        ValueError: its database cannot be told; or it is no name.
    """
    before, bare = _prefixed(text.strip())
    if before is not None and database not in (None, before):
        raise ValueError(f"'{text[:60]}' stands in a row of {database}")
    database = before or database
    if database is None:
        database = _told_by_spelling(bare, fallback)
    return f"{database}/{_written(bare, database)}"


def _prefixed(text: str) -> tuple[str | None, str]:
    """Return the database that a subject begins with, the longest that is one, and the rest: ``smic_s1``, ``SMIC-HS_s01``, ``samm/006``."""
    for sign in reversed([*SIGN.finditer(text[:SHORT])]):
        head, rest = text[: sign.start()], text[sign.end() :]
        if rest and is_database(head):
            return database_of(head), rest
    return None, text


def _told_by_spelling(bare: str, fallback: str | None) -> str:
    spelled = next((known for form, known in FORMS if form.fullmatch(bare)), ())
    if fallback is not None and (fallback in spelled or not spelled or bare.isdecimal() or fallback not in WRITTEN):
        return fallback  # how people of a database that is not known here are spelled, nobody knows either
    if not spelled:
        raise ValueError(f"'{bare[:60]}' may be a subject of any database")
    return spelled[0]


def _written(bare: str, database: str) -> str:
    number = NUMBER.fullmatch(bare) if len(bare) < LONGEST else None
    if number and database in WRITTEN:
        return WRITTEN[database](int(number[1]))
    spelled = FORMS[3][0].fullmatch(bare) if database == "casme3" else None
    return WRITTEN[database](int(spelled[1])) if spelled else guard.plain(bare)


def subject_in(clip: str, fallback: str | None) -> str:
    """Return the subject that a clip's name tells: ``smic/s01`` of ``s01_ne_01``, ``casme2/sub01`` of ``casme2/sub01/EP02_01f``.

    Raises:
        ValueError: it tells none.
    """
    parts = [part for part in re.split(r"[/\\_]", clip.strip()[:LONGEST]) if part]
    if len(parts) > 2 and is_database(parts[0]):
        return subject_of(parts[1], database_of(parts[0]), None)
    known = next((known for form, known in FORMS if len(parts) > 1 and form.fullmatch(parts[0])), None)
    if known is None:
        raise ValueError(f"the clip '{clip[:60]}' does not tell whose it is")
    return subject_of(parts[0], fallback if fallback in known or fallback not in (None, *WRITTEN) else known[0], None)


def clip_of(text: str, subject: str, listed: Iterable[str] = ()) -> str:
    """Return a clip's name within its subject: ``EP02_01f`` of ``sub01_EP02_01f .png``, ``s01_ne_01`` of ``s1_ne_01``.

    Args:
        text: as the file writes it, perhaps as a path, with an ending, or with database and subject before it.
        subject: with its database.
        listed: names that the subject's clips have, where a list is known; the nearest spelling among them is taken.

    Raises:
        ValueError: it cannot be a name.
    """
    database, who = subject.split("/", 1)
    name = re.split(r"[/\\]", text.strip()[:LONGEST])[-1]
    ending = ENDING.search(name)
    if ending and ending.end() == len(name):
        name = name[: ending.start()].strip()
    known = {each.casefold(): each for each in listed}
    for spelling in _spellings(name, database, who):
        if spelling.casefold() in known:
            return known[spelling.casefold()]
    shortest = list(_spellings(name, database, who))[-1]
    return guard.plain(shortest)


def _spellings(name: str, database: str, who: str) -> Iterable[str]:
    """Yield a clip's name and what it may be short or long for, the likeliest first."""
    heads = {who.casefold()}
    number = NUMBER.fullmatch(who)
    if number:
        heads |= {head + digits for head in ("", "s", "sub", "sp") for digits in (number[1], number[1].zfill(2), number[1].zfill(3))}
    own = database in (*SMIC, "samm")  # their clips' names begin with the subject's
    for _ in range(3):
        head, cut, rest = name.partition("_")
        if cut and head.casefold() in heads:
            yield name
            yield f"{who}_{rest}" if own else rest  # s1_ne_01 of s01, 6_1_2 of 006; EP02_01f of sub01_EP02_01f
            if rest.count("_") < 2 or not own:
                return
        elif not (cut and head.casefold() == database):
            yield name
            return
        name = rest


def known_order() -> tuple[str, ...]:
    """Return the databases that merbench knows, in listed order."""
    return tuple(databases.known())
