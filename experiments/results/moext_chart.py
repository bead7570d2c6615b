"""Draw how well moext rebuilds the apex of held-out clips, from the measures in a run's fold files: python moext_chart.py RUN [FILE.svg]."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from merbench.foldfile import read_fold

COPIED, REBUILT = "error of the onset in its place", "error of the rebuilt apex, grey levels"
RATIOS = {
    "rebuilt / onset": "whole frame",
    "rebuilt / onset where it moves": "where it moves",
    "rebuilt / onset, both evenly relit": "whole frame, both evenly relit",
}
COLOURS = {"smic": "#0072b2", "casme2": "#d55e00", "samm": "#009e73", "casme3": "#cc79a7"}  # Okabe and Ito's, told apart by all eyes


def chart(run: Path) -> Figure:
    """Return errors of the rebuilt apex against those of the onset in its place, and how the ratios of the two are spread.

    Args:
        run: its folder.

    Raises:
        UserError: a fold file is damaged.
    """
    points: dict[str, tuple[list[float], list[float]]] = {}
    ratios: dict[str, list[float]] = {name: [] for name in RATIOS}
    for path in sorted((run / "folds").glob("*.parquet")):
        fold = read_fold(path)
        for clip, copied, rebuilt in zip(fold.clips, fold.measures[COPIED], fold.measures[REBUILT], strict=True):
            across, up = points.setdefault(clip.partition("/")[0], ([], []))
            across.append(copied)
            up.append(rebuilt)
        for name, values in ratios.items():
            values += fold.measures[name]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    errors, spread = figure.subplots(1, 2)
    for database, (across, up) in points.items():
        errors.scatter(across, up, s=10, alpha=0.7, color=COLOURS.get(database, "#555555"), label=f"{database}, {len(up)} clips")
    end = 1.05 * max(max(across) for across, _ in points.values())
    errors.plot([0, end], [0, end], color="#888888", linewidth=0.8, label="no better than the onset")
    errors.set(xlim=(0, end), ylim=(0, end), xlabel="onset in place of the apex, mean error in grey levels", ylabel="rebuilt apex")
    errors.legend(frameon=False, fontsize=8)
    edges = [place / 20 for place in range(int(20 * max(1.2, *map(max, ratios.values()))) + 2)]
    for name, values in ratios.items():
        spread.hist(values, bins=edges, histtype="step", label=RATIOS[name])
    spread.axvline(1, color="#888888", linewidth=0.8)
    spread.set_ylim(top=1.35 * spread.get_ylim()[1])  # room for the legend
    spread.set(xlabel="error of the rebuilt apex, in errors of the onset", ylabel="held-out clips")
    spread.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "merbench"  # the same figures, the same file
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("moext.svg")
    chart(Path(sys.argv[1])).savefig(target, metadata={"Date": None, "Creator": None})
