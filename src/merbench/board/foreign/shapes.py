"""From the lists and dictionaries of a JSON file or a printed dictionary to columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from merbench.board.foreign.columns import VECTORS, Cell, Columns, plain, roles

WRAPPERS = ("predictions", "results", "records", "data", "rows", "clips", "folds")
"""Keys that hold the predictions beside other things."""

SCORES = ("uf1", "uar")

DEEPEST = 3
"""Levels of dictionaries around the lists: databases, subjects, columns."""

Table = dict[str, list[Any]]


def columns(value: object, form: str) -> Columns:
    """Return what a JSON value or printed dictionary holds.

    Known are: a list of records; a dictionary of columns, also as pandas writes it; a dictionary of subjects (or of databases of
    subjects) with ``pred`` and ``truth``; a dictionary of clips with one class each.

    Raises:
        ValueError: it is something else, or lists of one subject have other lengths.
    """
    value, stated = _unwrapped(value)
    if isinstance(value, list):
        found, kind = _records(value), "list of records"
    elif isinstance(value, dict) and value:
        found, kind = _dictionary(value)
    else:
        raise ValueError("it holds no predictions")
    return Columns(f"{form}, {kind}", _spread(found), stated)


def _unwrapped(value: object) -> tuple[object, dict[str, str]]:
    if not isinstance(value, dict):
        return value, {}
    stated = {key: str(cell) for name, cell in value.items() if (key := plain(str(name))) in SCORES and type(cell) in (int, float)}
    inner = [value[key] for key in value if plain(str(key)) in WRAPPERS and isinstance(value[key], list | dict)]
    if len(inner) != 1 or _is_split(value) or _tells(value):
        return value, stated
    return inner[0], stated


def _dictionary(value: dict[str, Any]) -> tuple[Table, str]:
    if _is_split(value):
        rows = value["data"]
        if not all(isinstance(row, list) and len(row) == len(value["columns"]) for row in rows):
            raise ValueError("a row of 'data' has not one cell a column")
        return {str(name): [row[place] for row in rows] for place, name in enumerate(value["columns"])}, "columns and data"
    if all(isinstance(column, list) for column in value.values()) and _tells(value):
        return _even(value, "the columns"), "dictionary of columns"
    if all(isinstance(column, dict) for column in value.values()):
        if _tells(value):
            return _indexed(value), "dictionary of columns"
        return _grouped(value, ()), "dictionary of subjects"
    raise ValueError(f"its keys are {', '.join(map(str, value))[:120]}: neither columns nor subjects with 'pred' and 'truth'")


def _is_split(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("columns"), list) and isinstance(value.get("data"), list)


def _even(table: Mapping[str, Any], whose: str) -> Table:
    lengths = {name: len(column) for name, column in table.items()}
    if len({*lengths.values()}) > 1:
        raise ValueError(f"{whose} have other lengths: {', '.join(f'{name} {count}' for name, count in lengths.items())[:160]}")
    return {str(name): list(column) for name, column in table.items()}


def _indexed(value: Mapping[str, dict[str, Any]]) -> Table:
    """Return columns that are dictionaries by row, as pandas writes them."""
    rows = [*next(iter(value.values()))]
    if any(set(column) != set(rows) for column in value.values()):
        raise ValueError("its columns have other rows")
    return {str(name): [column[row] for row in rows] for name, column in value.items()}


def _records(value: Sequence[Any]) -> Table:
    if not value or not all(isinstance(record, dict) for record in value):
        raise ValueError("it is a list, but not of records such as {'subject': 's01', 'clip': 's01_ne_01', 'truth': 0, 'pred': 1}")
    names = [*value[0]]
    for number, record in enumerate(value, 1):
        if set(record) != set(names):
            raise ValueError(f"record {number} has other keys than the first: {', '.join(map(str, record))[:120]}")
    return {str(name): [record[name] for record in value] for name in names}


def _grouped(value: Mapping[str, Any], above: tuple[str, ...]) -> Table:
    """Return the columns of subjects, of clips with one class each, or of databases of either."""
    if len(above) >= DEEPEST:
        raise ValueError("its dictionaries are too deep")
    clips = not any(isinstance(cell, list) and plain(name) not in VECTORS for inner in value.values() for name, cell in _items(inner))
    joined: Table = {}
    for key, inner in value.items():
        path, whose = (*above, str(key)), f"'{'/'.join((*above, str(key)))[:60]}'"
        if not isinstance(inner, dict) or not inner:
            raise ValueError(f"{whose} has no 'pred' and 'truth'")
        part = _group(path, inner, clips, whose) if _tells(inner) else _grouped(inner, path)
        if joined and set(part) != set(joined):
            raise ValueError(f"{whose} has other keys than those before it: {', '.join(part)[:120]}")
        for column, cells in part.items():
            joined.setdefault(column, []).extend(cells)
    return joined


def _group(path: tuple[str, ...], inner: dict[str, Any], clips: bool, whose: str) -> Table:
    """Return the columns of one subject, or of one clip."""
    if clips:
        named = "clip"
        table = {str(name): [cell] for name, cell in inner.items()}
    else:
        named = "subject"
        table = _even({name: cell if isinstance(cell, list) else [cell] for name, cell in inner.items()}, f"the lists of {whose}")
    if named in roles([*table]).named:
        return table
    return {named: ["/".join(path)] * len(next(iter(table.values()))), **table}


def _items(inner: object) -> Iterable[tuple[str, object]]:
    return inner.items() if isinstance(inner, dict) else ()


def _tells(table: Mapping[str, Any]) -> bool:
    """Return whether these are names of columns with true and predicted classes, or a list of probabilities."""
    found = roles([*table])
    return found.enough or ("truth" in found.named and any(plain(name) in VECTORS for name in table))


def _spread(table: Table) -> dict[str, list[Cell]]:
    """Return columns of single cells: a column of lists becomes one a class.

    Raises:
        ValueError: a cell is neither a word nor a number.
    """
    spread: dict[str, list[Cell]] = {}
    for name, cells in table.items():
        if cells and all(isinstance(cell, list) for cell in cells) and plain(name) in VECTORS:
            width = len(cells[0])
            if any(len(cell) != width for cell in cells):
                raise ValueError(f"lists of '{name[:40]}' have other lengths")
            spread |= {f"p_{place}": [_cell(cell[place], name) for cell in cells] for place in range(width)}
        else:
            spread[name] = [_cell(cell, name) for cell in cells]
    return spread


def _cell(cell: object, name: str) -> Cell:
    if cell is None:
        return ""
    if isinstance(cell, str | int | float) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, list) and len(cell) == 1:  # a class of its own in a list
        return _cell(cell[0], name)
    raise ValueError(
        f"a cell of '{name[:40]}' is {'true or false' if isinstance(cell, bool) else 'a list or dictionary'}, not a word or number"
    )
