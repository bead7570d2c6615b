"""Printed logs of public scripts: blocks of one subject each, and clips under headers.

Read in: STSTNet's Python port, HTNet, CausalNet and SKD-TSTSAN (``Subject: s01``, ``Predicted : [...]`` or ``Best Predicted : [...]``,
``Ground Truth : [...]``), the log format of MEGC2019 as STSTNet's authors and CapsuleNet keep it (``smic s01``, then ``s01_ne_01 0 2``), and
the dictionary that HTNet and CausalNet print at their end. CausalNet also writes a file a subject (``matrix_acc: [[0, 0], [1, 0]]``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from merbench.board.foreign import literal, people
from merbench.board.foreign.columns import Cell, Columns
from merbench.board.foreign.shapes import columns as shaped

BEST_OF_HTNET = (
    "HTNet and CausalNet print such a dictionary of each subject's best epoch; if this is one, compare it with the guesses of that rule"
)

LONGEST_LINE = 2000
"""Characters of a line in which a heading is looked for; a list may be longer."""

SUBJECT = re.compile(r"(?<![\w'\"])(?:subject|subj)(?:[ _]?(?:name|id))?\s*+[:=]\s*+['\"]?([\w./()-]{1,100})", re.IGNORECASE)
LIST = r"\s*+[:=]\s*+(?=[\[(]|(?:torch\.|np\.|numpy\.)?(?:tensor|array)\()"
PREDICTED = re.compile(
    rf"(?<![\w'\"])(best[ _]++)?(?:pred(?:icted|ictions?|s)?|y_pred)(?:[ _](?:labels?|class(?:es)?))?{LIST}", re.IGNORECASE
)
TRUTH = re.compile(
    rf"(?<![\w'\"])(?:ground[ _-]?truths?|gt|truth|y_true|(?:true|actual)(?:[ _](?:labels?|class(?:es)?))?|targets?|labels?){LIST}",
    re.IGNORECASE,
)
STATED = re.compile(
    r"^[\s|]{0,40}(best )?UF1\s{0,9}[:=]\s{0,9}([01]?\.[0-9]{1,8}|[01])[\s|,;]{1,20}(?:best )?UAR\s{0,9}[:=]\s{0,9}([01]?\.[0-9]{1,8}|[01])",
    re.IGNORECASE,
)
PAIRS = re.compile(r"^[ \t]{0,20}matrix_acc\s{0,9}:\s{0,9}(?=\[)", re.IGNORECASE | re.MULTILINE)
"""Of CausalNet's file of one subject: ``matrix_acc: [[predicted, true], ...]``."""

KEY = r"""(?:'[^'\n]{1,60}'|"[^"\n]{1,60}"|[0-9]{1,6})\s{0,20}:\s{0,20}"""
TABLE = re.compile(
    rf"\{{\s{{0,20}}{KEY}\{{\s{{0,20}}['\"](?:pred\w{{0,20}}|truth|labels?|y_\w{{1,10}}|gt|ground\w{{0,10}})['\"]\s{{0,20}}:", re.IGNORECASE
)


def of_subjects(text: str) -> Columns | None:
    """Return the blocks of a log, each of a subject with its predicted and true classes; None where it has none.

    Where a block has both the last epoch's predictions and the best epoch's, the last one's are taken.

    Raises:
        ValueError: a list cannot be read, a subject stands there twice, or its lists have other lengths.
    """
    blocks: dict[str, dict[str, list[Cell]]] = {}
    current: dict[str, list[Cell]] = {}
    stated: dict[str, tuple[str, str]] = {}
    for number, start, line in _lines(text):
        heading = SUBJECT.search(line) if len(line) <= LONGEST_LINE else None
        if heading:
            name = heading[1].rstrip(".")
            if blocks.get(name):
                raise ValueError(f"line {number}: subject {name} comes a second time; the log holds more than one run, so cut out one")
            current = blocks.setdefault(name, {})
        for kind, found in (("predicted", PREDICTED.search(line)), ("truth", TRUTH.search(line))):
            if found and blocks:
                which = "best" if kind == "predicted" and found[1] else kind
                if which in current:
                    raise ValueError(
                        f"line {number}: subject {[*blocks][-1]} has its {which} classes twice; cut the log to the last epoch's"
                    )
                current[which] = _flat(literal.parse(text, start + found.end())[0], number)
        told = STATED.match(line)
        if told:
            stated["best" if told[1] else "last"] = (told[2], told[3])
    return _joined(blocks, stated) if any("truth" in block for block in blocks.values()) else None


def _joined(blocks: dict[str, dict[str, list[Cell]]], stated: dict[str, tuple[str, str]]) -> Columns:
    whole = {name: block for name, block in blocks.items() if "truth" in block and ("predicted" in block or "best" in block)}
    if not whole:
        raise ValueError("its subjects have no predicted classes")
    best = not all("predicted" in block for block in whole.values())
    if best and any("best" not in block for block in whole.values()):
        raise ValueError("some subjects have 'Predicted' and others only 'Best Predicted': keep one kind for all")
    which = "best" if best else "predicted"
    cells: dict[str, list[Cell]] = {"subject": [], "truth": [], "predicted": []}
    for name, block in whole.items():
        if len(block["truth"]) != len(block[which]):
            raise ValueError(f"subject {name} has {len(block['truth'])} true and {len(block[which])} predicted classes")
        cells["subject"] += [name] * len(block["truth"])
        cells["truth"] += block["truth"]
        cells["predicted"] += block[which]
    notes = []
    lacking = [name for name in blocks if name not in whole]
    if lacking:
        notes.append(f"subjects without predictions in the log: {', '.join(lacking[:12])}{' ...' if len(lacking) > 12 else ''}")
    if not best and any("best" in block for block in whole.values()):
        notes.append("'Best Predicted' lists stand in the log too and are passed over")
    uf1, uar = stated.get("best" if best else "last", ("", ""))
    return Columns("printed log, a block a subject", cells, {"uf1": uf1, "uar": uar} if uf1 else {}, best, tuple(notes))


def of_clips(text: str) -> Columns | None:
    """Return the lines ``<clip> <true> <predicted>`` under headers ``<database> <subject>``; None where it has no header.

    Raises:
        ValueError: there are headers, but no clip below them.
    """
    cells: dict[str, list[Cell]] = {"database": [], "subject": [], "clip": [], "truth": [], "predicted": []}
    database = subject = ""
    passed = []
    for number, _, line in _lines(text):
        if not line.strip():
            continue
        words = line.replace(",", " ").split() if len(line) <= LONGEST_LINE else []
        heading = words[0].split("/", 1) if len(words) == 1 else words
        if len(heading) == 2 and people.is_database(heading[0]):
            database, subject = heading[0], heading[1].rstrip(":")
        elif len(words) == 3 and database and _is_class(words[1]) and _is_class(words[2]):
            for column, cell in zip(cells, (database, subject, *words), strict=True):
                cells[column].append(cell)
        else:
            passed.append(number)
    if not database:
        return None
    if not cells["clip"]:
        raise ValueError("it has headers of subjects, but no line '<clip> <true> <predicted>' below them")
    notes = (f"{len(passed)} lines are neither a header nor a clip and were passed over, the first is line {passed[0]}",) if passed else ()
    return Columns("printed log, a line a clip", cells, notes=notes)


def of_dictionary(text: str) -> Columns | None:
    """Return the dictionary of subjects with ``pred`` and ``truth`` that stands somewhere in a text; None where there is none.

    Raises:
        ValueError: it cannot be read, or there are two that differ.
    """
    found: list[literal.Value] = []
    place = 0
    while (start := TABLE.search(text, place)) is not None:
        value, place = literal.parse(text, start.start())
        if value not in found:
            found.append(value)
        if len(found) > 1:
            raise ValueError("it has two dictionaries of subjects that differ; keep one")
    return printed(found[0]) if found else None


def of_pairs(text: str) -> Columns | None:
    """Return the pairs of a subject's file as CausalNet writes it, ``[predicted, true]``; None where it has none. An empty list has no rows.

    Raises:
        ValueError: it holds something else than pairs, or the pairs of two trainings, one below the other.
    """
    found: list[literal.Value] = []
    for start in PAIRS.finditer(text):
        value = literal.parse(text, start.end())[0]
        if value not in found:
            found.append(value)
    if not found:
        return None
    if len(found) > 1:
        raise ValueError("it has the pairs of two trainings, one below the other; cut out one")
    pairs = found[0] if isinstance(found[0], list) else []
    cells: dict[str, list[Cell]] = {"truth": [], "predicted": []}
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or any(isinstance(cell, list | dict) for cell in pair):
            raise ValueError("'matrix_acc' is no list of pairs of a predicted and a true class")
        for column, cell in zip(("predicted", "truth"), pair, strict=True):
            cells[column].append(cell)  # type: ignore[arg-type]  # no list, as was looked at
    note = "pairs are read as [predicted, true], as CausalNet writes them; for each subject of its best epoch"
    return Columns("CausalNet's file of a subject", cells, best=True, notes=(note,))


def printed(value: literal.Value) -> Columns:
    """Return what a printed list or dictionary holds, and of one of subjects what is known of its like.

    Raises:
        ValueError: it holds no predictions.
    """
    found = shaped(value, "printed dictionary" if isinstance(value, dict) else "printed list")
    if not isinstance(value, dict) or "subject" not in found.cells or "clip" in found.cells:
        return found
    return replace(found, notes=(*found.notes, BEST_OF_HTNET))


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield number, place in the text and content of each line."""
    place = number = 0
    while place <= len(text):
        number, end = number + 1, text.find("\n", place)
        end = len(text) if end < 0 else end
        yield number, place, text[place:end]
        place = end + 1


def _is_class(word: str) -> bool:
    return word.isdecimal() or word.casefold() in people.CLASS_WORDS


def _flat(value: literal.Value, number: int) -> list[Cell]:
    if isinstance(value, list):
        cells = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in value]
        if not any(isinstance(cell, list | dict) for cell in cells):
            return [cell for cell in cells if not isinstance(cell, list | dict)]
    raise ValueError(f"line {number}: this is no list of classes")
