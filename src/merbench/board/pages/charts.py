"""Charts as SVG, drawn by hand: a few numbers each, coloured by the page's style, so that they turn dark with it.

A chart says in words what it shows (``aria-label``), and no colour stands alone: lines have names, and what is wrong is open where right is filled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike

from merbench.errors import visible

Point = tuple[float, float]


def tag(name: str, *content: str, **attributes: object) -> Markup:
    """Return an element; text and values are escaped, elements are kept. ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"' for key, value in attributes.items())
    inside = Markup("").join(part if isinstance(part, Markup) else escape(visible(part)) for part in content)
    return Markup(f"<{name}{told}>{inside}</{name}>")  # noqa: S704  # every part of it was escaped


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else visible(str(value))


def drawing(width: float, height: float, label: str, *content: str, kind: str = "") -> Markup:
    """Return a picture of so many units, which says ``label`` to whoever cannot see it."""
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        aria_label=label,
        class_=kind,
    )


WIDE, HIGH = 116, 18
"""Units of a bar in a table."""


def bar(value: float, interval: tuple[float, float], chance: float, label: str) -> Markup:
    """Return a score from 0 to 1 with its interval, and an upright stroke where chance lies; empty where there is no score."""
    if math.isnan(value):
        return Markup("")
    middle, parts = HIGH / 2, [_scale()]
    if not math.isnan(interval[0]):
        parts.append(tag("line", x1=_across(interval[0]), x2=_across(interval[1]), y1=middle, y2=middle, class_="interval"))
    if not math.isnan(chance):
        parts.append(tag("line", x1=_across(chance), x2=_across(chance), y1=2.5, y2=HIGH - 2.5, class_="chance"))
    parts.append(tag("circle", cx=_across(value), cy=middle, r=3.2, class_="score"))
    return drawing(WIDE, HIGH, label, *parts, kind="bar")


def _across(value: float) -> float:
    return 4 + (WIDE - 8) * min(max(value, 0.0), 1.0)


def _scale() -> Markup:
    marks = [tag("line", x1=_across(at), x2=_across(at), y1=HIGH / 2 - 2, y2=HIGH / 2 + 2) for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return tag("g", tag("line", x1=_across(0.0), x2=_across(1.0), y1=HIGH / 2, y2=HIGH / 2), *marks, class_="scale")


def split(right: float, wrong: float, most: float, label: str) -> Markup:
    """Return how many clips were judged right, filled, and how many wrong, open; ``most`` clips fill the width."""
    unit = WIDE / most if most else 0.0
    return drawing(
        WIDE,
        12,
        label,
        tag("rect", x=0, y=1, width=right * unit, height=10, class_="right"),
        tag("rect", x=right * unit, y=1, width=wrong * unit, height=10, class_="wrong"),
        kind="bar",
    )


def histogram(values: ArrayLike, label: str, bins: int = 24) -> Markup:
    """Return how values are spread, from the least to the largest, with a stroke at the median."""
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found)]
    if not found.size:
        return Markup("")
    low, high = float(found.min()), float(found.max())
    counts, _ = np.histogram(found, bins=bins, range=(low, high) if high > low else (low - 0.5, high + 0.5))
    step, tall = WIDE / bins, 26
    bars = [
        tag("rect", x=index * step, y=tall * (1 - count / counts.max()), width=step - 0.8, height=tall * float(count / counts.max()))
        for index, count in enumerate(counts)
        if count
    ]
    middle = WIDE * (float(np.median(found)) - low) / (high - low) if high > low else WIDE / 2
    return drawing(
        WIDE, tall, label, tag("g", *bars, class_="spread"), tag("line", x1=middle, x2=middle, y1=0, y2=tall, class_="chance"), kind="bar"
    )


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    Attributes:
        points: x and y; left out where y is no number.
        kind: class of its style.
        band: lower and upper y at the same x, filled.
    """

    points: Sequence[Point]
    kind: str = "one"
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Rule:
    """A level line across a plot, named at its right end."""

    y: float
    name: str
    kind: str = ""


@dataclass(frozen=True)
class Dot:
    """A marked point. ``name`` stands above it where it is not empty."""

    x: float
    y: float
    name: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Plot:
    """Lines over two axes.

    Attributes:
        label: what is shown, in a sentence.
        x_name, y_name: of the axes.
        size: units.
        x, y: ends of the axes; from the data where they are None.
        margin: room to the right, for names of rules.
        x_step: the least from one number of the x axis to the next; 1 for what is counted.
    """

    label: str
    x_name: str
    y_name: str
    lines: Sequence[Line] = ()
    rules: Sequence[Rule] = ()
    dots: Sequence[Dot] = ()
    size: tuple[int, int] = (340, 210)
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    margin: int = 12
    x_step: float = 0.0
    kind: str = "plot"
    bars: Mapping[float, tuple[float, float]] = field(default_factory=dict)

    def drawn(self) -> Markup:
        """Return the picture."""
        area = _Area(self)
        return drawing(
            *self.size,
            self.label,
            *area.axes(),
            *(area.band(line) for line in self.lines if line.band),
            *(area.column(at, *pair) for at, pair in self.bars.items()),
            *area.levels(),
            *(area.line(line) for line in self.lines),
            *(area.dot(dot) for dot in self.dots),
            kind=self.kind,
        )


class _Area:
    """From values to units of the picture."""

    LEFT, TOP, BOTTOM = 46, 20, 34

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        xs = [x for line in plot.lines for x, _ in line.points] + [dot.x for dot in plot.dots]
        ys = [y for line in plot.lines for _, y in line.points] + [each for line in plot.lines for band in line.band for each in band[1:]]
        self.x = plot.x or _ends(xs)
        self.y = plot.y or _ends([*ys, *(rule.y for rule in plot.rules), *(dot.y for dot in plot.dots)])
        self.right, self.bottom = plot.size[0] - plot.margin, plot.size[1] - self.BOTTOM

    def at(self, x: float, y: float) -> Point:
        """Return where a value lies."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.LEFT + across * (self.right - self.LEFT), self.bottom - up * (self.bottom - self.TOP)

    def axes(self) -> Iterable[Markup]:
        """Yield level lines with their values, and the names of both axes."""
        for value in ticks(*self.y):
            y = self.at(self.x[0], value)[1]
            yield tag("line", x1=self.LEFT, x2=self.right, y1=y, y2=y, class_="grid")
            yield tag("text", f"{value:g}", x=self.LEFT - 6, y=y + 3.5, text_anchor="end")
        for value in ticks(*self.x, most=6, least=self.plot.x_step):
            x = self.at(value, self.y[0])[0]
            yield tag("line", x1=x, x2=x, y1=self.bottom, y2=self.bottom + 4, class_="axis")
            yield tag("text", f"{value:g}", x=x, y=self.bottom + 15, text_anchor="middle")
        yield tag("line", x1=self.LEFT, x2=self.right, y1=self.bottom, y2=self.bottom, class_="axis")
        yield tag("text", self.plot.x_name, x=self.right, y=self.bottom + 29, text_anchor="end", class_="name")
        yield tag("text", self.plot.y_name, x=4, y=11, class_="name")

    def line(self, line: Line) -> Markup:
        """Return a line, broken where a value is no number."""
        pieces: list[list[str]] = [[]]
        for x, y in line.points:
            if math.isfinite(y):
                pieces[-1].append("{:.1f},{:.1f}".format(*self.at(x, y)))
            elif pieces[-1]:
                pieces.append([])
        return tag("g", *(tag("polyline", points=" ".join(piece)) for piece in pieces if piece), class_=f"line {line.kind}")

    def band(self, line: Line) -> Markup:
        """Return the area between two lines."""
        there = [self.at(x, low) for x, low, _ in line.band]
        back = [self.at(x, high) for x, _, high in reversed(line.band)]
        return tag("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in there + back), class_=f"band {line.kind}")

    def column(self, at: float, width: float, height: float) -> Markup:
        """Return an upright bar from the axis, ``width`` wide to the right of ``at``."""
        (x, y), (end, _) = self.at(at, height), self.at(at + width, height)
        return tag("rect", x=x + 0.5, y=y, width=max(end - x - 1.0, 0.0), height=max(self.bottom - y, 0.0), class_="column")

    def levels(self) -> Iterable[Markup]:
        """Yield the rules; their names are moved apart where they would lie on one another."""
        used: list[float] = []
        for rule in sorted(self.plot.rules, key=lambda each: each.y):
            y = self.at(self.x[0], rule.y)[1]
            place = min(y, *(each - 12 for each in used[-1:])) if used else y
            used.append(place)
            yield tag("line", x1=self.LEFT, x2=self.right, y1=y, y2=y, class_=f"rule {rule.kind}")
            yield tag("text", rule.name, x=self.right + 6, y=place + 3.5, class_=f"name {rule.kind}")

    def dot(self, dot: Dot) -> Markup:
        """Return a marked point with its name."""
        x, y = self.at(dot.x, dot.y)
        mark = tag("circle", cx=x, cy=y, r=3.6, class_=f"dot {dot.kind}")
        if not dot.name:
            return mark
        anchor = "end" if x > (self.LEFT + self.right) / 2 else "start"
        return tag("g", mark, tag("text", dot.name, x=x + (-6 if anchor == "end" else 6), y=y - 7, text_anchor=anchor, class_="name"))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return ends of an axis with a little room; from 0 where the data come near it."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if high <= low:
        room = abs(low) * 0.1 or 0.5
        return low - room, high + room
    if 0 <= low < 0.4 * high:
        return 0.0, high * 1.04
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def ticks(low: float, high: float, most: int = 5, least: float = 0.0) -> list[float]:
    """Return round numbers from low to high: steps of 1, 2 or 5 times a power of ten, at most ``most`` of them, none below ``least``."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    digit = 10.0 ** math.floor(math.log10(span / most))
    step = max(next((digit * factor for factor in (1, 2, 5, 10, 20) if span / (digit * factor) <= most), digit * 20), least)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, math.floor(high / step + 1e-9) + 1)]
