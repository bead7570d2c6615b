"""Schemes: which clips, which classes, and how many of each there must be.

Those of MEGC2019 are lists that its organisers published. All others are read off the user's own sheet (`data.classes`), and must come
to the counts pinned in data_manifests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from merbench.data import classes as read_off
from merbench.data import manifest
from merbench.data.classes import Rules, listed
from merbench.data.copies import NONE, Copy
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip

COUNT = re.compile("[0-9]{1,6}")

MINI_ENDING = "-mini"


@dataclass(frozen=True)
class Scheme:
    """A clip list with its classes. Never edited once a score stands on it; a new one stands beside it.

    Attributes:
        name: as in ``--scheme``.
        classes: class names; their order is the class index.
        clips: in listed order.
        labels: clip key to class index.
        source: who says so.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    labels: Mapping[str, int]
    source: str

    def select(self, databases: tuple[str, ...]) -> tuple[Clip, ...]:
        """Return the clips of these databases, in listed order."""
        return tuple(clip for clip in self.clips if clip.database in databases)


def megc3() -> Scheme:
    """Return the three classes of MEGC2019: CASME II negative is disgust and repression only; 'others' are dropped."""
    listed = manifest.megc2019()
    classes = manifest.CLASSES
    labels = {clip.key: classes.index(name) for clip, name in listed}
    return Scheme("megc3", classes, tuple(clip for clip, _ in listed), labels, "MEGC2019 organisers, combined_3class_gt.csv")


MINI = {
    "smic": ("s02", "s04", "s09", "s11", "s14"),
    "casme2": ("sub02", "sub05", "sub06", "sub12", "sub19"),
    "samm": ("006", "007", "012", "014", "016"),
    "casme3": ("spNO.11", "spNO.18", "spNO.193", "spNO.207"),
}
"""Subjects of ``megc3-mini`` and its like: few, with every class in every database. SMIC's other cameras have the same people."""


FIRST_LOOK = "megc3-mini"
"""The scheme of a first look: its rows are marked, and preset quick goes with it unless another is asked for."""

OTHER_CAMERAS = ("s11", "s12", "s13", "s14", "s15", "s18", "s19", "s20")
"""Who was filmed by SMIC's VIS and NIR cameras too: the last of the recordings, 71 clips."""

NOT_LONG = ("s01_ne_02", "s02_sur_05", "s03_ne_20", "s03_ne_03", "s04_ne_05", "s04_ne_06", "s09_sur_02")
"""Clips of SMIC-HS without a long video of their own in SMIC-E-HS: three were lost, four share that of another clip."""


def megc3_mini() -> Scheme:
    """Return ``megc3`` cut down to 15 subjects, for a first look in minutes. Never ranked with the whole."""
    return _mini(megc3())


def _mini(whole: Scheme) -> Scheme:
    clips = tuple(clip for clip in whole.clips if _in_mini(clip))
    labels = {clip.key: whole.labels[clip.key] for clip in clips}
    people = len({clip.subject for clip in clips})
    return Scheme(f"{whole.name}{MINI_ENDING}", whole.classes, clips, labels, f"{people} subjects of {whole.source}, chosen by merbench")


def _in_mini(clip: Clip) -> bool:
    database, subject = manifest.person_of(clip.subject).split("/")
    return subject in MINI.get(database, (subject,))


def _other_camera(camera: Literal["vis", "nir"]) -> Callable[[], Scheme]:
    return lambda: _renamed(f"smic-{camera}-3", f"smic-{camera}", lambda clip: clip.subject.split("/")[1] in OTHER_CAMERAS)


def _long() -> Scheme:
    return _renamed("smic-e-3", "smic-e", lambda clip: clip.name not in NOT_LONG)


def _renamed(name: str, database: str, kept: Callable[[Clip], bool]) -> Scheme:
    """Return the clips of SMIC that another set of it holds too, with their classes: the same movements, seen otherwise."""
    whole = megc3()
    pairs = [
        (Clip(database, clip.subject.replace("smic/", f"{database}/"), clip.name), whole.labels[clip.key])
        for clip in whole.select(("smic",))
        if kept(clip)
    ]
    return Scheme(
        name, whole.classes, tuple(clip for clip, _ in pairs), {clip.key: label for clip, label in pairs}, f"the clips of {whole.source}"
    )


SCHEMES: dict[str, Callable[[], Scheme]] = {
    "megc3": megc3,
    FIRST_LOOK: megc3_mini,
    "smic-vis-3": _other_camera("vis"),
    "smic-nir-3": _other_camera("nir"),
    "smic-e-3": _long,
}
"""Those whose clips are listed, whatever a sheet says."""


def scheme(name: str) -> Scheme:
    """Return a scheme whose clips are listed (`is_listed`), after its counts were compared with the pinned ones.

    Raises:
        UserError: an unknown scheme, or counts that are not the pinned ones.
    """
    check(name)
    made = SCHEMES[name if name in SCHEMES else name.removesuffix(MINI_ENDING)]()
    check_counts(made)
    return made if made.name == name else _mini(made)


def names() -> tuple[str, ...]:
    """Return the names of all schemes."""
    whole = [*SCHEMES, *derived()]
    return (*whole, *(f"{name}{MINI_ENDING}" for name in whole if f"{name}{MINI_ENDING}" not in whole and not name.endswith(MINI_ENDING)))


def check(name: str) -> None:
    """Refuse an unknown scheme.

    Raises:
        UserError: with the nearest.
    """
    if name not in names():
        whole = [each for each in names() if each == FIRST_LOOK or not each.endswith(MINI_ENDING)]
        raise UserError(f"there is no scheme '{name}'", where="--scheme", remedy=nearest(name, whole))


def is_mini(name: str) -> bool:
    """Return whether a scheme is one of few subjects, for a first look."""
    return name.endswith(MINI_ENDING)


def databases(name: str) -> tuple[str, ...]:
    """Return the databases of a scheme, in listed order.

    Raises:
        UserError: an unknown scheme.
    """
    check(name)
    base = name.removesuffix(MINI_ENDING)
    if base in SCHEMES:
        return tuple(dict.fromkeys(clip.database for clip in SCHEMES[base]().clips))
    return tuple(derived()[base])


def classes(name: str) -> tuple[str, ...]:
    """Return the class names of a scheme; their order is the class index.

    Raises:
        UserError: an unknown scheme.
    """
    check(name)
    base = name.removesuffix(MINI_ENDING)
    return SCHEMES[base]().classes if base in SCHEMES else next(iter(derived()[base].values())).classes


def is_listed(name: str) -> bool:
    """Return whether the clips of a scheme are known without a sheet."""
    return name.removesuffix(MINI_ENDING) in SCHEMES


def derived() -> dict[str, dict[str, Rules]]:
    """Return the schemes that are read off sheets: name to database to rules.

    Raises:
        UserError: a table of classes is damaged.
    """
    return {name: rules for name, rules in read_off.tables().items() if name not in SCHEMES}


def of(name: str, database: str, copies: Sequence[Copy]) -> tuple[Scheme, Copy]:
    """Return a database's part of a scheme as a copy gives it, and the copy by the sheet that gives it.

    Args:
        name: of the scheme.
        database: one of its databases.
        copies: the same copy by each of its sheets, from `Database.survey`.

    Raises:
        UserError: unknown names, or no sheet comes to the pinned counts; says which clips differ, where that is known.
    """
    check(name)
    if database not in databases(name):
        raise UserError(
            f"scheme {name} is of {' and '.join(databases(name))}, not of {database}",
            where=f"--on {database} --scheme {name}",
            remedy=f"one of its schemes: {', '.join(whole_of(database)) or 'none is known'}",
        )
    base = name.removesuffix(MINI_ENDING)
    if base in SCHEMES:
        part = listed_part(name, database)
        return part, max(copies, key=lambda copy: sum(clip.key in copy.by_key for clip in part.clips))
    rules = derived()[base][database]
    ordered = read_off.preferred(rules, copies)
    fitting = [copy for copy in ordered if not read_off.differences(rules, copy, few=is_mini(name))]
    if not fitting:
        raise _other_counts(name, database, rules, ordered[0], is_mini(name))
    return _read_off(name, rules, fitting[0]), fitting[0]


def listed_part(name: str, database: str) -> Scheme:
    """Return a database's part of a scheme whose clips are listed, cut down or not."""
    made = scheme(name) if name in SCHEMES else _mini(scheme(name.removesuffix(MINI_ENDING)))
    return replace(made, clips=made.select((database,)))


def whole_of(database: str) -> tuple[str, ...]:
    """Return the schemes of a database that are not cut down."""
    return tuple(name for name in names() if not is_mini(name) and database in databases(name))


def _read_off(name: str, rules: Rules, copy: Copy) -> Scheme:
    labels = {}
    for entry in sorted(copy.entries, key=lambda each: (each.clip.subject, each.clip.name)):  # however a sheet is sorted
        found = rules.class_of(entry)
        if found not in (None, NONE) and (not is_mini(name) or _in_mini(entry.clip)):
            labels[entry.clip.key] = rules.classes.index(found)
    bare = {entry.clip.key: Clip(entry.clip.database, entry.clip.subject, entry.clip.name) for entry in copy.entries}
    return Scheme(name, rules.classes, tuple(bare[key] for key in labels), labels, f"data_manifests/classes/{copy.database}.csv")


def differences(name: str, database: str, copies: Sequence[Copy], lost: Collection[str] = ()) -> list[str]:
    """Return in what a copy differs from what a scheme needs, by the best of its sheets; empty where it fits.

    Args:
        name, database, copies: as of `of`.
        lost: keys of clips that cannot be prepared, whatever their row says.
    """
    if name in SCHEMES:
        clips = [clip for clip in SCHEMES[name]().clips if clip.database == database]
        absent = min(([clip.key for clip in clips if clip.key not in copy.by_key] for copy in copies), key=len)
        wrong = [f"{len(absent)} of {len(clips)} clips are not there: {listed(absent)}"] if absent else []
        return wrong + _useless([clip.key for clip in clips if clip.key not in absent], lost)
    rules = derived()[name][database]
    copy = min(read_off.preferred(rules, copies), key=lambda each: bool(read_off.differences(rules, each)))
    wrong = read_off.differences(rules, copy)
    which = read_off.differing(rules, copy) if wrong else []
    wrong += _useless([] if wrong else [clip.key for clip in _read_off(name, rules, copy).clips], lost)
    return [*wrong, *([f"which differ: {listed(which)}"] if which else [])]


def _useless(keys: Sequence[str], lost: Collection[str]) -> list[str]:
    useless = [key for key in keys if key in lost]
    return [f"{len(useless)} of {len(keys)} clips cannot be prepared: {listed(useless)}"] if useless else []


def _other_counts(name: str, database: str, rules: Rules, copy: Copy, few: bool) -> UserError:
    told = [f"scheme {name} does not come to its pinned counts: {'; '.join(read_off.differences(rules, copy, few))}"]
    clips = read_off.differing(rules, copy)
    told.append(
        f"which clips differ: {listed(clips)}" if clips else "which clips differ cannot be told: merbench may not ship the owners' list"
    )
    others = [
        each
        for each, tables in derived().items()
        if each != name and database in tables and tables[database].classes == rules.classes
        if not read_off.differences(tables[database], copy)
    ]
    sheet = f"the owners' sheet{f' of {rules.edition}' if rules.edition else ''}"
    instead = f", or use --scheme {others[0]}, whose counts these are" if others else ""
    return UserError(
        "\n  ".join(told),
        where=copy.sheet or copy.tree,
        remedy=f"put {sheet} into the copy{instead} (merbench doctor {database} tells more)",
    )


def check_counts(made: Scheme) -> None:
    """Compare a scheme with ``schemes.csv``.

    Raises:
        UserError: a database has other numbers of clips or subjects; each difference is named.
    """
    rows = [r for r in manifest.table("schemes", ("scheme", "database", "class", "clips", "subjects")) if r["scheme"] == made.name]
    clips = Counter((clip.database, made.classes[made.labels[clip.key]]) for clip in made.clips)
    subjects = Counter(subject.split("/")[0] for subject in {clip.subject for clip in made.clips})
    wrong = []
    for row in rows:
        if not all(COUNT.fullmatch(row[column]) for column in ("clips", "subjects")):
            raise UserError(
                f"scheme {made.name} pins {row['clips'][:20]} clips and {row['subjects'][:20]} subjects, which are no numbers",
                where=f"data_manifests/schemes.csv, {row['database']} {row['class']}",
                remedy=manifest.RESTORE,
            )
        found = clips.pop((row["database"], row["class"]), 0)
        if found != int(row["clips"]):
            wrong.append(f"{row['database']} {row['class']}: {found} clips, not {row['clips']}")
        if subjects[row["database"]] != int(row["subjects"]):
            wrong.append(f"{row['database']}: {subjects[row['database']]} subjects, not {row['subjects']}")
    wrong += [f"{database} {name}: {count} clips without a pinned count" for (database, name), count in clips.items()]
    if wrong:
        raise UserError(
            f"scheme {made.name} does not have its pinned counts: {'; '.join(dict.fromkeys(wrong))}",
            where="data_manifests",
            remedy="restore the manifests (git checkout -- data_manifests); another clip list is another scheme",
        )
