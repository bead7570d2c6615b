"""Predictions of any origin: written here in every form that is read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from merbench import scores
from merbench.board.foreign import files, listed, predictions
from merbench.board.foreign.predictions import Predictions
from merbench.data import manifest

NAMES = manifest.CLASSES


@dataclass(frozen=True)
class Row:
    """One clip's prediction, spelled as public code does."""

    subject: str
    clip: str
    truth: int
    predicted: int

    @property
    def bare(self) -> str:
        return self.subject.split("/")[1]


def rows(seed: int = 0, keep: float = 1.0, databases: tuple[str, ...] = manifest.DATABASES) -> list[Row]:
    """Return guesses for the clips of MEGC2019, or for about a share of them."""
    rng = np.random.default_rng(seed)
    return [
        Row(clip.subject, clip.name, NAMES.index(name), int(rng.integers(3)))
        for clip, name in manifest.megc2019()
        if clip.database in databases and rng.random() < keep
    ]


def matrix(found: list[Row]) -> list[list[int]]:
    counted: list[list[int]] = scores.confusion([row.truth for row in found], [row.predicted for row in found], 3).tolist()
    return counted


def by_subject(found: list[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in found:
        grouped.setdefault(row.bare, []).append(row)
    return grouped


def delimited(found: list[Row], separator: str = ",", head: tuple[str, ...] = ("subject", "clip", "truth", "pred")) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([row.bare, row.clip, row.truth, row.predicted][: len(head)] for row in found)
    return out.getvalue()


def probable(found: list[Row], names: tuple[str, ...], logits: bool = False) -> str:
    """Return a CSV with a column of probabilities, or logits, a class."""
    rng = np.random.default_rng(1)
    lines = [",".join(("Subject", "Filename", "label", *names))]
    for row in found:
        values = rng.normal(size=3)
        values[row.predicted] = values.max() + 0.5
        values = values if logits else np.exp(values) / np.exp(values).sum()
        lines.append(",".join([row.bare, row.clip, str(row.truth), *(f"{value:.6f}" for value in values)]))
    return "\n".join(lines) + "\n"


def named(found: list[Row]) -> str:
    lines = ["dataset\tsub\tfilename_o\tGround Truth\tPrediction"]
    lines += [f"CASME II\t{row.bare}\t{row.clip}\t{NAMES[row.truth].title()}\t{NAMES[row.predicted]}" for row in found if row.subject < "d"]
    spelled = {"smic": "SMIC-HS", "samm": "SAMM"}
    lines += [
        f"{spelled[row.subject.split('/')[0]]}\t{row.bare}\t{row.clip}\t{NAMES[row.truth][:3]}\t{NAMES[row.predicted]}"
        for row in found
        if row.subject > "d"
    ]
    return "\n".join(lines)


def blocks(found: list[Row], wrap: str = "{}", best: bool = False) -> str:
    lines = ["lr=0.000050, epochs=800, device=cuda", "", str(list(by_subject(found)))]
    for name, members in by_subject(found).items():
        lines += [f"Subject: {name} ", "=> Using fold div: 8"]
        lines.append(f"{'Best ' if best else ''}Predicted    : {wrap.format([row.predicted for row in members])} ")
        lines += [f"Ground Truth : {[row.truth for row in members]}", "Evaluation until this subject: ", "UF1: 0.5185 | UAR: nan"]
    return "\n".join([*lines, "Final Evaluation: ", ""])


def under_headers(found: list[Row], each: bool = False) -> str:
    lines: list[str] = []
    for members in by_subject(found).values():
        database = members[0].subject.split("/")[0]
        for number, row in enumerate(members):
            lines += [f"{database} {row.bare}"] if each or number == 0 else []
            lines.append(f"{row.clip} {row.truth} {row.predicted}")
    return "\n".join(lines)


def table(found: list[Row]) -> dict[str, dict[str, list[int]]]:
    grouped = by_subject(found).items()
    return {name: {"pred": [row.predicted for row in members], "truth": [row.truth for row in members]} for name, members in grouped}


def records(found: list[Row]) -> list[dict[str, object]]:
    return [{"subject": row.subject, "sample": row.clip, "y_true": row.truth, "y_pred": row.predicted} for row in found]


def turned(found: list[Row]) -> dict[str, list[object]]:
    return {name: [record[name] for record in records(found)] for name in records(found)[0]}


def parquet(found: list[Row]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(turned(found)), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def vectors(found: list[Row]) -> str:
    return json.dumps(
        [{**record, "y_pred": None, "probs": np.eye(3)[row.predicted].tolist()} for record, row in zip(records(found), found, strict=True)]
    ).replace('"y_pred": null, ', "")


FORMS: dict[str, Callable[[list[Row]], str | bytes]] = {
    "comma": delimited,
    "semicolon": lambda found: delimited(found, ";"),
    "tab": lambda found: delimited(found, "\t", ("Subject", "Video Name", "y_true", "y_pred")),
    "byte order mark": lambda found: "\ufeff" + delimited(found),
    "redirected by a Windows console": lambda found: delimited(found).encode("utf-16"),
    "a comment above": lambda found: "# made by hand\n\n" + delimited(found),
    "an index before": lambda found: "\n".join(f"{'' if n == 0 else n}," + line for n, line in enumerate(delimited(found).splitlines())),
    "names of classes and databases": named,
    "probabilities by name": lambda found: probable(found, ("p_negative", "p_positive", "p_surprise")),
    "probabilities in another order": lambda found: probable(
        [Row(row.subject, row.clip, row.truth, (row.predicted + 1) % 3) for row in found], ("prob_2", "prob_0", "prob_1")
    ),
    "logits": lambda found: probable(found, ("logit_0", "logit_1", "logit_2"), logits=True),
    "records": lambda found: json.dumps(records(found)),
    "lines of JSON": lambda found: "\n".join(map(json.dumps, records(found))),
    "columns": lambda found: json.dumps({"predictions": turned(found), "method": "x"}),
    "pandas": lambda found: json.dumps({name: {str(n): cell for n, cell in enumerate(cells)} for name, cells in turned(found).items()}),
    "pandas, split": lambda found: json.dumps(
        {"columns": [*turned(found)], "index": [*range(len(found))], "data": [[*record.values()] for record in records(found)]}
    ),
    "a JSON dictionary of subjects": lambda found: json.dumps(table(found)),
    "a JSON dictionary of clips": lambda found: json.dumps({f"{row.subject}/{row.clip}": {"gt": row.truth, "pred": row.predicted} for row in found}),
    "lists of probabilities": vectors,
    "parquet": parquet,
    "printed records": lambda found: str(records(found)),
    "a printed dictionary": lambda found: str(table(found)),
    "a printed dictionary in a log": lambda found: f"Total Time Taken: 12.5\n(442,)\n{table(found)}\n",
    "a dictionary in a script": lambda found: f"import os\nthree_pred_truth = {table(found)}\nfor key in three_pred_truth:\n    pass\n",
    "a dictionary of tensors": lambda found: str(table(found)).replace("[", "tensor([").replace("]", "], device='cuda:0')"),
    "a dictionary of numpy numbers": lambda found: str(
        {name: {key: [f"np.int64({cell})" for cell in cells] for key, cells in lists.items()} for name, lists in table(found).items()}
    ).replace("'np.int64(", "np.int64(").replace(")'", ")"),
    "blocks": blocks,
    "blocks of tensors": lambda found: blocks(found, "tensor({})"),
    "blocks of numpy arrays": lambda found: blocks(found).replace(", ", " "),
    "blocks of best epochs": lambda found: blocks(found, best=True),
    "clips under headers": under_headers,
    "clips, each under its header": lambda found: under_headers(found, each=True),
}  # fmt: skip


def content(written: str | bytes) -> bytes:
    return written.encode() if isinstance(written, str) else written


def read(written: str | bytes, database: str | None = None, classes: tuple[str, ...] | None = None) -> Predictions:
    """Return what is read of a file's content, compared with the list."""
    return listed.compared(predictions.understand(files.columns(content(written)), Path("file"), database, classes))


def read_matrix(found: Predictions) -> list[list[int]]:
    """Return the confusion of the last epoch of the first seed."""
    counted: list[list[int]] = scores.confusion(found.tables[0].truth, found.tables[0].predicted[-1], len(found.classes)).tolist()
    return counted
