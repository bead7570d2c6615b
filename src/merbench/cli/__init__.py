"""The command line: words in, calls out. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

import typer

from merbench import __version__
from merbench.cli import archive, audit, bench, board, check, clean, data, doctor, maps, methods, perf, synth, wandb
from merbench.errors import UserError, told, visible

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
app.command("doctor")(doctor.doctor)
app.command("prepare")(data.prepare)
data.app.command("clean")(clean.clean)
app.add_typer(data.app, name="data")
app.command("synth")(synth.synth)
app.add_typer(perf.app, name="perf")
app.command("leaderboard")(board.leaderboard)
app.command("compare")(board.compare)
app.command("maps")(maps.maps)
app.add_typer(wandb.app, name="wandb")
app.command("archive")(archive.archive)
app.command("check")(check.check)


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
    except KeyboardInterrupt:
        print("merbench: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader has seen enough: merbench leaderboard | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python still holds goes nowhere at its end
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  # whatever was not foreseen: a short report, and a file for whoever mends it
        if isinstance(error, OSError) and error.errno in MACHINE and error.filename is not None:
            refused = UserError(
                f"the system refuses a file: {error.strerror}",
                where=os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else error.filename,
                remedy="look at the path, its links, its permissions and the space on its disk",
            )
            print(f"merbench: {refused}", file=sys.stderr)
            sys.exit(2)
        print(f"merbench: {_unforeseen(error)}", file=sys.stderr)
        sys.exit(1)


MACHINE = {
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.ENXIO, errno.ESTALE, errno.ENOTDIR),
}
"""What is wrong with a path or a disk and never with merbench."""


def _unforeseen(error: Exception) -> str:
    """Return what to say about an exception that nobody foresaw, after writing its trace to a file."""
    trace = "".join(traceback.format_exception(error, limit=-100))  # of a recursion the last hundred levels
    words, home = " ".join(sys.argv[1:]), str(Path.home())
    report = ""
    with (
        contextlib.suppress(OSError),
        tempfile.NamedTemporaryFile("w", prefix="merbench-", suffix=".txt", delete=False, encoding="utf-8", errors="replace") as file,
    ):
        text = f"merbench {__version__}, Python {sys.version}\nmerbench {words}\n\n{trace}"
        file.write(text.replace(home, "~") if len(home) > 1 else text)
        report = file.name
    return (
        f"something went wrong that merbench did not foresee: {visible(told(error)[:300])}\n"
        + f"where: merbench {visible(words)[:200]}\n"
        + f"do: if the words above do not help, report it with this file: {report or 'no file could be written (set TMPDIR to a folder)'}"
    )
