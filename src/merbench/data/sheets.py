"""Owners' annotation sheets: a table found in a workbook by its header, cells as text and numbers."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from merbench import guard
from merbench.data.cells import LONGEST, word
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.data import workbooks

HEADER_WITHIN = 200
"""Rows of a sheet in which its header is looked for; SAMM's is the 14th."""

ENDINGS = (".xlsx", ".xlsm", ".xls", ".csv")
FILES, BYTES, NAMES, DEPTH = 200, 2**28, 400_000, 2
"""Of a database's folder: workbooks that are opened and what they may hold together, names that are gone through, folders below it."""

Row = dict[str, str]
"""Cells by column as the owner names it, stripped; and ``row``, the number in the sheet, for messages."""

NO_ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def read(
    path: Path, columns: Sequence[str], optional: Sequence[str] = (), aliases: Mapping[str, tuple[str, ...]] = NO_ALIASES
) -> list[Row]:
    """Return the rows below the header that has the cell ``Subject``; notes above it and empty rows are passed over.

    A header is the same in any case, width and with any blanks. Of several sheets the first is read that has all columns.

    Args:
        path: of a workbook (.xlsx, .xls) or of text with columns; its content says which.
        columns: those that must be there.
        optional: those that read as ``""`` where the sheet lacks them.
        aliases: of a column, or of ``Subject``: other names, which count where the sheet lacks those before them.

    Raises:
        UserError: it is no workbook, has no such header, or lacks a column.
    """
    from merbench.data import workbooks  # here, so that the board opens without openpyxl

    found = _header(workbooks.read(path), columns, optional, aliases)
    if found is None:
        raise UserError("an annotation sheet has no header row: no cell says 'Subject'", where=path, remedy="is this the owner's sheet?")
    cells, number, places = found
    missing = [column for column in columns if not places[column]]
    if missing:
        there = ", ".join(cell for cell in cells[number] if cell)
        raise UserError(
            f"an annotation sheet lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has {there[:400]}",
            where=f"{path}, row {number + 1}",
            remedy="use the owner's own sheet, or give the column its name back",
        )
    twice = [column for column, found in places.items() if len(found) > 1]
    if twice:
        raise UserError(
            f"the column{'s' if len(twice) > 1 else ''} {', '.join(twice)} stand{'' if len(twice) > 1 else 's'} in an annotation sheet twice",
            where=f"{path}, row {number + 1}",
            remedy="use the owner's own sheet, or take the column out that is not the owner's",
        )
    rows = []
    for below, line in enumerate(cells[number + 1 :], start=number + 2):
        row = {column: line[place[0]] if place and place[0] < len(line) else "" for column, place in places.items()}
        if any(row.values()):
            rows.append({**row, "row": str(below)})
    return rows


def candidates(
    root: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    aliases: Mapping[str, tuple[str, ...]] = NO_ALIASES,
    named: str = "*",
) -> list[tuple[Path, list[Row]]]:
    """Return every workbook in a database's folder, or up to two folders below, that has these columns, with its rows.

    A sheet is known by its columns: people rename them. Files of programs that have a sheet open are passed over, and folders that are
    links; the upper ones come first, text after workbooks.

    Args:
        root: of a database.
        columns: those that must be there.
        optional: as in `read`.
        aliases: as in `read`.
        named: pattern of a name, in any case; what is wrong with such a file is told where no other has the columns.

    Raises:
        UserError: no file has the columns, and one of that name is damaged, lacks some, or is a link that leads out of the folder.
    """
    found: list[tuple[Path, list[Row]]] = []
    faults: list[UserError] = []
    taken = 0
    for path in sorted(_workbooks(root), key=lambda path: (len(path.parts), path.suffix.casefold() == ".csv", path.name))[:FILES]:
        try:
            taken += guard.within(root, path).stat().st_size
            if taken > BYTES:
                break
            found.append((path, read(path, columns, optional, aliases)))
        except UserError as error:
            if fnmatch.fnmatch(path.name.casefold(), named.casefold()):
                faults.append(error)
        except (ValueError, OSError) as error:
            if fnmatch.fnmatch(path.name.casefold(), named.casefold()):
                reason = error.strerror if isinstance(error, OSError) else error
                faults.append(UserError(f"an annotation sheet cannot be read: {reason}", where=path, remedy="put the sheet itself there"))
    if faults and not found:
        raise faults[0]
    return found


def _header(
    sheets: Iterable[workbooks.Cells], columns: Sequence[str], optional: Sequence[str], aliases: Mapping[str, tuple[str, ...]]
) -> tuple[workbooks.Cells, int, dict[str, list[int]]] | None:
    """Return the sheet, the index of its header's row and the places of each column; of several the one with most columns."""
    marks = {_plain(name) for name in ("Subject", *aliases.get("Subject", ()))}
    names = {column: [_plain(name) for name in (column, *aliases.get(column, ()))] for column in (*columns, *optional)}
    best, fewest = None, len(names) + 1
    for cells in sheets:
        for number, header in enumerate(cells[:HEADER_WITHIN]):
            heads = [_plain(cell) for cell in header]
            if marks.isdisjoint(heads):
                continue
            places = {}
            for column, known in names.items():
                there = next((name for name in known if name in heads), None)
                places[column] = [place for place, head in enumerate(heads) if head == there]
            faults = sum(len(places[column]) != 1 for column in columns) + sum(len(places[column]) > 1 for column in optional)
            if faults < fewest:
                best, fewest = (cells, number, places), faults
    return best


def _plain(cell: str) -> str:
    if len(cell) > LONGEST:
        return ""
    return "".join(word(cell).split())


def _workbooks(root: Path) -> Iterator[Path]:
    """Yield the files that may be workbooks, by their endings, level by level; a folder of frames is listed and not looked into."""
    level, names = [root], 0
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            try:
                with os.scandir(folder) as listed:
                    entries = list(islice(listed, NAMES - names))
            except OSError:
                continue  # a folder that cannot be listed is told where its frames are needed
            names += len(entries)
            for entry in entries:
                if entry.name.startswith((".", "~")):
                    continue
                if entry.name.casefold().endswith(ENDINGS):
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
        level = sorted(below)
