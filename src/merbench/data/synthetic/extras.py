"""What the sheets of CASME II and SAMM have beyond MEGC2019: 110 and 26 clips, and the frame numbers that are known of single clips.

Counts of emotions are the owners'; so are the names in `KNOWN`, each of which has a story. The other names are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from merbench.streams import key_of

OTHERS = "others"
KNOWN = {
    "casme2/sub04/EP12_01f": "disgust",  # its apex is '/': MEGC2019 dropped it
    "casme2/sub05/EP09_05f": "disgust",  # its apex is its onset: likewise
    **dict.fromkeys(("casme2/sub24/EP07_01", "casme2/sub24/EP07_04f", "casme2/sub24/EP10_03"), "sadness"),  # surprise in the sheet of 2019
    **dict.fromkeys(("casme2/sub05/EP07_01", "casme2/sub05/EP16_04f", "casme2/sub07/EP06_01", "casme2/sub18/EP19_01"), OTHERS),
    **dict.fromkeys(("casme2/sub20/EP16_01", "casme2/sub20/EP16_04", "samm/026/026_1_2"), OTHERS),
}
RELABELLED = frozenset(key for key, emotion in KNOWN.items() if emotion == "sadness")
"""Sadness in CASME II's sheet of 2014, surprise in that of 2019."""

WITHOUT_ROW = {"casme2/sub09/EP02_02f": (12, 35, 60), "casme2/sub24/EP02_07": (61, 91, 106)}
"""Folders of CASME II that have no row in the sheets of 2014 and 2019; the second's frames are in a copy of 256 rows, the first's are ours."""

CASME2_SUBJECTS = tuple(f"sub{number:02d}" for number in range(1, 27))
CASME2_OURS = {OTHERS: 93, "sadness": 4, "fear": 2}
SAMM_OURS = 25
ONLY_OTHER = ("025", 3)
"""A subject of SAMM with so many clips, none of MEGC2019."""

FRAMES: dict[str, tuple[int | None, int | None, int | None]] = {
    "casme2/sub04/EP12_01f": (261, 294, 321),
    "casme2/sub07/EP06_01": (15, 49, 68),
    "casme2/sub12/EP09_02": (16, 59, 101),
    "casme2/sub12/EP09_06": (None, None, 111),
    "casme2/sub16/EP01_08": (None, None, 110),
    "casme2/sub20/EP16_01": (None, None, 111),
    "samm/028/028_4_1": (None, None, 1134),
    "samm/032/032_3_1": (4896, 4930, None),
    "samm/032/032_3_2": (5126, None, None),
    "smic/s03/s03_ne_16": (None, None, 409062),
    "smic/s03/s03_po_08": (None, None, 402223),
    "smic/s03/s03_sur_01": (None, None, 308889),
    "smic/s03/s03_sur_05": (None, None, 402326),
    "casme3/spNO.149/d_112": (112, 160, 358),
    "casme3/spNO.216/d_2647": (2647, 2668, 2694),
    "casme3/spNO.216/e_1": (1, 13, 25),
    "casme3/spNO.40/e_1812": (1812, 1824, 1840),
    "casme3/spNO.40/e_2327": (2327, 2363, 2380),
    "casme3/spNO.214/c_5": (5, 17, 34),
}
"""Onset, apex and offset as they are true; None is drawn. Where the owners' sheets are wrong, what a reader of them found is true here,
and the offsets of spNO.40 and spNO.214 are ours."""

CASME3_KNOWN = {149: ("d_112",), 216: ("d_2647", "e_1"), 40: ("e_1812", "e_2327"), 214: ("c_5",)}
CASME3_KNOWN_OTHERS = (216, 40)
"""Of these the known clips are 'others'."""

FOLLOWS = {
    "smic/s03/s03_ne_03": "smic/s03/s03_ne_02",
    "smic/s04/s04_ne_05": "smic/s04/s04_ne_04",
    "smic/s04/s04_ne_06": "smic/s04/s04_ne_05",
    "smic/s09/s09_sur_02": "smic/s09/s09_sur_01",
}
"""Clips that lie in one long video of SMIC-E, with the one before."""


def extras(database: str, taken: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Yield subject, name and emotion of every clip beyond MEGC2019.

    Args:
        database: ``casme2`` or ``samm``.
        taken: keys of MEGC2019's clips.
    """
    used = {*taken, *KNOWN, *WITHOUT_ROW}
    for key, emotion in KNOWN.items():
        if key.startswith(f"{database}/"):
            _, subject, name = key.split("/")
            yield subject, name, emotion
    for index, (subject, emotion) in enumerate(_ours(database, taken)):
        tries = 0
        while (name := _name(database, subject, index, tries)) and f"{database}/{subject}/{name}" in used:
            tries += 1
        used.add(f"{database}/{subject}/{name}")
        yield subject, name, emotion


def first_look(database: str, listed: Collection[tuple[str, str, str]], subjects: Collection[str], each: int = 2) -> frozenset[str]:
    """Return the keys of the extra clips that `mini` has: the known ones of its subjects, and of ours two 'others' of each."""
    found = {f"{database}/{subject}/{name}" for subject, name, _ in listed if subject in subjects} & set(KNOWN)
    for subject in subjects:
        ours = [f"{database}/{person}/{name}" for person, name, emotion in listed if person == subject and emotion == OTHERS]
        found |= set([key for key in ours if key not in KNOWN][:each])
    return frozenset(found)


def _ours(database: str, taken: Collection[str]) -> Iterator[tuple[str, str]]:
    if database == "casme2":
        emotions = [emotion for emotion, count in CASME2_OURS.items() for _ in range(count)]
        for index, emotion in enumerate(emotions):
            yield CASME2_SUBJECTS[index % len(CASME2_SUBJECTS)], emotion
        return
    people = sorted({key.split("/")[1] for key in taken})
    turns = [*[ONLY_OTHER[0]] * ONLY_OTHER[1], *people[:11], *people[:11]]  # the first eleven hold the subjects of the first look
    for subject in turns[:SAMM_OURS]:
        yield subject, OTHERS


def _name(database: str, subject: str, index: int, tries: int) -> str:
    number = key_of("synthetic", "name", database, subject, index, tries) % 10_000
    if database == "casme2":
        return f"EP{1 + number % 19:02d}_{1 + number // 19 % 20:02d}{'f' if number % 2 else ''}"
    return f"{subject}_{1 + number % 7}_{1 + number // 7 % 9}"
