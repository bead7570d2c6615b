"""Objective classes: by action units alone, I to VII, in the counts of the owners' sheets.

The counts are the owners': of CASME II's sheet of 2019 and SAMM's, I to V over 26 and over 20 subjects. Which clip has which class is
ours, the same for every seed: nearest first, a class that the action units of the clip's emotion give; what is left of the counts
goes to whoever is left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from merbench.data.synthetic.muscles import EMOTIONS
from merbench.streams import key_of

CLASSES = ("I", "II", "III", "IV", "V", "VI", "VII")
COUNTS = {
    "casme2": {"I": 25, "II": 15, "III": 99, "IV": 26, "V": 20, "VI": 1, "VII": 69},
    "samm": {"I": 24, "II": 13, "III": 20, "IV": 8, "V": 3, "VI": 7, "VII": 84},
}
WITHOUT = {"casme2": 0, "samm": 9}
"""So many subjects have no clip of I to V, and are none of the objective scheme."""


def objective_class(units: Sequence[str]) -> str:
    """Return the objective class, I to VII, of a set of action units (Davison, Merghani and Yap, 2018, shortened)."""
    bare = {int(re.sub(r"\D", "", unit)) for unit in units}
    rules: Mapping[str, bool] = {
        "VI": 20 in bare or {1, 2, 4} <= bare,  # fear
        "I": bool({6, 12} & bare),  # happiness
        "IV": bool({9, 10} & bare),  # disgust
        "II": bool({1, 2, 5, 25} & bare) and not {4, 15} & bare,  # surprise
        "V": 15 in bare or {1, 4} <= bare,  # sadness
        "III": bool({4, 7, 23, 24} & bare),  # anger
    }
    return next((name for name, fits in rules.items() if fits), "VII")


def assigned(database: str, felt: Mapping[str, str], mini: frozenset[str]) -> dict[str, str]:
    """Return the objective class of every clip of a database.

    Args:
        database: ``casme2`` or ``samm``.
        felt: emotion by key, of all clips of the whole sheet.
        mini: keys of the first look: among them is every class of I to V, over two subjects.
    """
    left, given = Counter(COUNTS[database]), dict[str, str]()
    clips: dict[str, list[str]] = {}
    for key in sorted(felt, key=lambda each: key_of("synthetic", "objective", each)):
        clips.setdefault(key.rsplit("/", 1)[0], []).append(key)

    def give(key: str, name: str) -> None:
        given[key] = name
        left[name] -= 1

    def best(key: str, among: Iterable[str]) -> str:
        """Return the class with most fit, then with most seats left."""
        fit = Counter(objective_class(units) for units in EMOTIONS[felt[key]])
        return max((name for name in among if left[name] > 0), key=lambda name: (fit[name], left[name], name))

    people = sorted({key.rsplit("/", 1)[0] for key in mini} & clips.keys())
    fewest = sorted((subject for subject in clips if subject not in people), key=lambda subject: (len(clips[subject]), subject))
    for subject in fewest[: WITHOUT[database]]:
        for key in clips.pop(subject):
            give(key, best(key, ("VI", "VII")))
    for name in sorted(CLASSES[:5], key=lambda each: left[each]):  # the scarcest first
        free = {subject: _first([key for key in clips[subject] if key in mini], felt, name, given) for subject in people}
        order = sorted((subject for subject in people if free[subject]), key=lambda subject: not _fits(felt, free[subject], name))
        for subject in order[:2]:
            give(free[subject], name)
    for keys in clips.values():
        if not any(given.get(key) in CLASSES[:5] for key in keys):
            give(keys[0], best(keys[0], CLASSES[:5]))
    rest = [key for keys in clips.values() for key in keys if key not in given]
    rest.sort(key=lambda key: (-len(EMOTIONS[felt[key]]), key_of("synthetic", "objective", key)))
    later = []
    for key in rest:
        fit = Counter(objective_class(units) for units in EMOTIONS[felt[key]])
        open_ = [name for name, _ in fit.most_common() if left[name] > 0]
        if open_:
            give(key, open_[0])
        else:
            later.append(key)
    for key, name in zip(later, left.elements(), strict=True):
        given[key] = name
    return given


def _first(keys: Sequence[str], felt: Mapping[str, str], name: str, given: Mapping[str, str]) -> str:
    """Return a subject's first free clip, one whose emotion fits a class where there is one; empty where none is free."""
    free = [key for key in keys if key not in given]
    return next((key for key in free if _fits(felt, key, name)), free[0] if free else "")


def _fits(felt: Mapping[str, str], key: str, name: str) -> bool:
    return any(objective_class(units) == name for units in EMOTIONS[felt[key]])
