"""The command line: words in, calls out. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import traceback

import typer

from merbench import __version__
from merbench.cli import audit, bench, board, data, methods, synth
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
app.command("audit")(audit.audit)
app.command("methods")(methods.methods)
app.command("datasets")(data.datasets)
app.command("prepare")(data.prepare)
app.add_typer(data.app, name="data")
app.command("synth")(synth.synth)
app.command("leaderboard")(board.leaderboard)
app.command("compare")(board.compare)


def main() -> None:
    """Run the command line. A user's mistake is one message and exit code 2, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no ± still gets its row
    try:
        app()
    except UserError as error:
        print(f"merbench: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:  # noqa: BLE001  # whatever was not foreseen: a short report, and a file for whoever mends it
        print(f"merbench: {_unforeseen(error)}", file=sys.stderr)
        sys.exit(1)


def _unforeseen(error: Exception) -> str:
    """Return what to say about an exception that nobody foresaw, after writing its trace to a file."""
    trace = "".join(traceback.format_exception(error))
    report = ""
    with (
        contextlib.suppress(OSError),
        tempfile.NamedTemporaryFile("w", prefix="merbench-", suffix=".txt", delete=False, encoding="utf-8") as file,
    ):
        file.write(f"merbench {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n{trace}")
        report = file.name
    return (
        f"something went wrong that merbench did not foresee: {type(error).__name__}: {str(error)[:300]}\n"
        f"do: if the words above do not help, report it with this file: {report or 'no file could be written'}"
    )
