"""Classes read off a user's sheet: by the tables in data_manifests/classes, with the counts that must come out."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from merbench.config import shipped
from merbench.data import cells, manifest
from merbench.data.copies import NONE, Copy, Entry
from merbench.errors import UserError

COUNT = re.compile("[0-9]{1,6}")

COLUMNS = ("scheme", "edition", "column", "word", "class", "clips", "subjects")
"""Of a database's table of classes, ``data_manifests/classes/casme2.csv``."""

TOLD = 12
"""So many clips are named in one message."""


@dataclass(frozen=True)
class Rules:
    """How one database's sheet gives the classes of a scheme.

    Attributes:
        edition: of the sheet that the counts are of; empty where there is one only.
        column: where the class is read.
        words: in the spelling of `cells.word` (objective classes as they are), to class names; ``-`` for what is left out.
        clips: pinned number by class, where one is known.
        subjects: pinned number, where one is known.
    """

    edition: str
    column: Literal["emotion", "objective"]
    words: Mapping[str, str]
    clips: Mapping[str, int]
    subjects: int | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes in the order of the table."""
        return tuple(name for name in dict.fromkeys(self.words.values()) if name != NONE)

    def class_of(self, entry: Entry) -> str | None:
        """Return an entry's class; ``-`` where it is left out, None where the table does not know its word."""
        word = (entry.clip.emotion or "") if self.column == "emotion" else (entry.clip.objective or "")
        return self.words.get(_word(word, self.column))


@functools.cache
def tables() -> dict[str, dict[str, Rules]]:
    """Return what sheets give: scheme to database to rules. Of ``megc3``, whose clips are listed, it serves to compare a sheet with the list.

    Raises:
        UserError: a table is damaged, or the databases of a scheme have other classes.
    """
    found: dict[str, dict[str, Rules]] = {}
    for path in sorted((shipped("data_manifests") / "classes").glob("*.csv"), key=lambda each: (_rank(each.stem), each.stem)):
        rows = manifest.table(f"classes/{path.stem}", COLUMNS)
        for name in dict.fromkeys(row["scheme"] for row in rows):
            found.setdefault(name, {})[path.stem] = _rules([row for row in rows if row["scheme"] == name], f"{path.stem}.csv, {name}")
    for name, tables in found.items():
        if len({rules.classes for rules in tables.values()}) > 1:
            raise UserError(f"the databases of {name} have other classes", where="data_manifests/classes", remedy=manifest.RESTORE)
    return found


def _rank(database: str) -> int:
    return [*manifest.DATABASES, "casme3", database].index(database)


def _rules(rows: Sequence[Mapping[str, str]], where: str) -> Rules:
    first = rows[0]
    words = {_word(row["word"], row["column"]): row["class"] for row in rows if row["word"] != "*"}
    clips: Counter[str] = Counter()
    for row in rows:
        numbers = [row[column] for column in ("clips", "subjects") if row[column] != NONE]
        if not all(COUNT.fullmatch(number) for number in numbers) or row["column"] not in ("emotion", "objective"):
            raise UserError(
                f"a row has counts that are no numbers, or another column: {', '.join(row.values())[:200]}",
                where=f"data_manifests/classes/{where}",
                remedy=manifest.RESTORE,
            )
        if row["clips"] != NONE and row["class"] != NONE:
            clips[row["class"]] += int(row["clips"])
    edition = "" if first["edition"] == NONE else first["edition"]
    subjects = None if first["subjects"] == NONE else int(first["subjects"])
    return Rules(edition, "emotion" if first["column"] == "emotion" else "objective", words, clips, subjects)


def _word(word: str, column: str) -> str:
    return cells.word(word) if column == "emotion" else word


def preferred(rules: Rules, copies: Sequence[Copy]) -> list[Copy]:
    """Return copies, those by the sheet that is pinned first."""
    return sorted(copies, key=lambda copy: copy.edition != rules.edition)


def differences(rules: Rules, copy: Copy, few: bool = False) -> list[str]:
    """Return in which counts a copy is not what is pinned: ``surprise: 28 clips, not 25``.

    Args:
        rules, copy: of one database.
        few: whether only some subjects are wanted, of whom no counts are pinned: every class must be there, and no other edition.
    """
    if rules.column == "objective" and not any(entry.clip.objective for entry in copy.entries):
        return [f"{copy.sheet.name if copy.sheet else 'the copy'} has no objective classes"]
    by_class = [(entry, rules.class_of(entry)) for entry in copy.entries]
    counts = Counter(name for _, name in by_class)
    wrong = [f"{name}: {counts[name]} clips, not {number}" for name, number in rules.clips.items() if counts[name] != number and not few]
    subjects = len({entry.clip.subject for entry, name in by_class if name not in (None, NONE)})
    if few:
        wrong = [f"{name}: no clips" for name in rules.classes if not counts[name]]
        editions = {tables_of[copy.database].edition for tables_of in tables().values() if copy.database in tables_of}
        if rules.edition not in ("", copy.edition) and copy.edition in editions:
            wrong.append(f"the sheet is that of {copy.edition}, not of {rules.edition}")
    elif rules.subjects not in (None, subjects):
        wrong.append(f"{subjects} subjects, not {rules.subjects}")
    strange = [entry for entry, name in by_class if name is None]
    if strange:
        wrong.append(f"{len(strange)} clips whose {rules.column} no table knows: {listed([_told(entry, rules) for entry in strange])}")
    return wrong


def differing(rules: Rules, copy: Copy) -> list[str]:
    """Return the clips of which is known that a copy has them otherwise than the sheet that is pinned, each with how."""
    known = {
        (row["database"], row["clip"]): row
        for row in manifest.table("editions", ("database", "clip", "edition", "emotion", "source"))
        if row["edition"] == rules.edition or not rules.edition
    }
    found = []
    for entry in copy.entries if rules.column == "emotion" else ():
        row = known.get((entry.clip.database, entry.clip.key.partition("/")[2]))
        if row is None:
            continue
        if row["emotion"] == NONE:
            found.append(f"{entry.clip.key} has a row here and none in the owners'")
        elif row["emotion"] != _word(entry.clip.emotion or "", "emotion"):
            found.append(f"{entry.clip.key} is {entry.clip.emotion} here and {row['emotion']} there")
    return found + (against_megc(copy) if rules.column == "emotion" else [])


def against_megc(copy: Copy) -> list[str]:
    """Return the clips of a copy whose class is not that of the list of MEGC2019, each with how."""
    rules = tables().get("megc3", {}).get(copy.database)
    if rules is None:
        return []
    listed_class = {clip.key: name for clip, name in manifest.megc2019() if clip.database == copy.database}
    found = []
    for entry in copy.entries:
        here, there = rules.class_of(entry), listed_class.pop(entry.clip.key, NONE)
        if here not in (None, there) and entry.clip.key not in manifest.DROPPED:
            found.append(
                f"{entry.clip.key} is {entry.clip.emotion} here, {'not among' if there == NONE else f'{there} among'} the clips of MEGC2019"
            )
    return found + [f"{key} has no row here" for key in listed_class]


def listed(items: Sequence[str]) -> str:
    """Return the first few of many, and how many more there are."""
    return ", ".join(items[:TOLD]) + (f" and {len(items) - TOLD} more" if len(items) > TOLD else "")


def _told(entry: Entry, rules: Rules) -> str:
    word = entry.clip.emotion if rules.column == "emotion" else entry.clip.objective
    return f"{entry.clip.key} ('{(word or '')[:40]}', {Path(entry.where).name})"
