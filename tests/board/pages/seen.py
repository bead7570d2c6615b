"""A drawn plot read back as a person reads it: places to values by the numbers on its axes, and by nothing that the drawing code knows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]


def drawings(page: str, section: str) -> list[str]:
    """Return the drawings of one section of a page."""
    return re.findall(r"<svg.*?</svg>", page.partition(f'<section id="{section}">')[2].partition("</section>")[0], re.DOTALL)


def parsed(drawing: str) -> ET.Element:
    """Return a drawing as what it is made of: a browser is more forgiving than this."""
    return ET.fromstring(drawing)


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "nan"))


def of_class(root: ET.Element, tag: str, kind: str) -> list[ET.Element]:
    """Return the elements of a class, in the order in which they are drawn."""
    return [each for each in root.iter(tag) if kind in each.get("class", "").split()]


@dataclass(frozen=True)
class Seen:
    """What a plot shows, in the units of its axes.

    Attributes:
        x_name, y_name: what stands at the axes.
        lines: by the class of their style.
        bands: corners in the order in which they are drawn.
        columns: left, right, foot and top.
        rules: level and class.
        named: names of the rules from below.
        dots: with their class.
    """

    x_name: str
    y_name: str
    lines: dict[str, list[list[Point]]]
    bands: list[list[Point]]
    columns: list[tuple[float, float, float, float]]
    rules: list[tuple[float, str]]
    named: list[str]
    dots: list[tuple[float, float, str]]


def seen(drawing: str) -> Seen:
    """Read a plot back; its own level lines and marks must stand where its numbers say."""
    root = parsed(drawing)
    texts = [
        (number(each, "x"), number(each, "y"), each.text or "", each.get("text-anchor"), each.get("class", ""))
        for each in root.iter("text")
    ]
    levels = [(y - 3.5, float(text)) for _, y, text, anchor, kind in texts if anchor == "end" and not kind]
    marks = [(x, float(text)) for x, _, text, anchor, kind in texts if anchor == "middle" and not kind]
    grid, ticks = of_class(root, "line", "grid"), of_class(root, "line", "axis")
    right = number(grid[0], "x2")
    assert [number(each, "y1") for each in grid] == [number(each, "y2") for each in grid] == [place for place, _ in levels]
    assert [number(each, "x1") for each in ticks[:-1]] == [number(each, "x2") for each in ticks[:-1]] == [place for place, _ in marks]
    (x_scale, x_zero), (y_scale, y_zero) = (np.polyfit(np.array(each)[:, 0], np.array(each)[:, 1], 1) for each in (marks, levels))
    assert x_scale > 0 > y_scale, "to the right and up is more"

    def at(x: float, y: float) -> Point:
        return float(x * x_scale + x_zero), float(y * y_scale + y_zero)

    def points(each: ET.Element) -> list[Point]:
        return [at(*map(float, pair.split(","))) for pair in each.get("points", "").split()]

    names = sorted((y, text) for x, y, text, _, kind in texts if kind == "name" and x <= right)
    lines: dict[str, list[list[Point]]] = {each.get("class", "").split()[1]: [] for each in of_class(root, "g", "line")}
    for group in of_class(root, "g", "line"):
        lines[group.get("class", "").split()[1]] += [points(piece) for piece in group.iter("polyline")]
    columns = []
    for each in of_class(root, "rect", "column"):
        (left, top), (far, foot) = (
            at(number(each, "x") - 0.5, number(each, "y")),
            at(number(each, "x") + number(each, "width") + 0.5, number(each, "y") + number(each, "height")),
        )
        columns.append((left, far, foot, top))
    rules = of_class(root, "line", "rule")
    assert [number(each, "y1") for each in rules] == [number(each, "y2") for each in rules]
    return Seen(
        x_name=names[-1][1],
        y_name=names[0][1],
        lines=lines,
        bands=[points(each) for each in of_class(root, "polygon", "band")],
        columns=columns,
        rules=[(at(0, number(each, "y1"))[1], each.get("class", "").partition(" ")[2]) for each in rules],
        named=[text for _, text in sorted(((y, text) for x, y, text, _, _ in texts if x > right), reverse=True)],
        dots=[
            (*at(number(each, "cx"), number(each, "cy")), each.get("class", "").partition(" ")[2])
            for each in of_class(root, "circle", "dot")
        ],
    )
