"""The command line: words in, calls out. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

import sys

import typer

from merbench.cli import bench, board, data, methods
from merbench.errors import UserError

app = typer.Typer(
    name="merbench",
    help="Micro-expression recognition, benchmarked: leave-one-subject-out scores that can be trusted, had again, and had fast.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("bench")(bench.bench)
app.command("methods")(methods.methods)
app.command("datasets")(data.datasets)
app.add_typer(data.app, name="data")
app.command("leaderboard")(board.leaderboard)
app.command("compare")(board.compare)


def main() -> None:
    """Run the command line. A user's mistake is one message and exit code 2, never a traceback."""
    try:
        app()
    except UserError as error:
        print(f"merbench: {error}", file=sys.stderr)
        sys.exit(2)
