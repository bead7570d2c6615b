"""File systems that are really full, or really read-only: one message, nothing half, and the same command goes on when there is space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import merbench
from tests.conftest import Rendered
from tests.faults.commands import Command

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
PRIOR = ["merbench", "bench", "prior", "--on", "smic", "--workers", "2"]
Answer = Mapping[str, Any]


def inside(folder: str, *steps: list[str], **environment: str) -> list[Answer]:
    """Do steps in a namespace of their own, and return what each merbench command answered."""
    try:
        possible = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare: no file system can be mounted for a test")
    if possible.returncode:
        pytest.skip(f"this machine allows no user namespaces: {possible.stderr.strip()}")
    paths = os.pathsep.join([str(Path(merbench.__file__).parents[1]), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-m", "tests.faults.inside"],
        input=json.dumps([folder, *steps]),
        env={**os.environ, **environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Answer] = json.loads(done.stdout)
    return answers


def small(folder: str, size: str) -> list[str]:
    Path(folder).mkdir(exist_ok=True)
    return ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]


def larger(folder: str, size: str) -> list[str]:
    return ["mount", "-o", f"remount,size={size}", folder]


def refused(answer: Answer, what: str, where: str) -> None:
    """One message: what, where, and the remedy."""
    assert answer["code"] == 2, answer
    assert what in answer["err"]
    assert f"where: {where}" in answer["err"]
    assert "do: free some space" in answer["err"]
    assert "Traceback" not in answer["err"]
    assert answer["err"].count("merbench:") == 1


def folds(answer: Answer) -> dict[str, Any]:
    return {Path(path).name: about for path, about in answer["files"].items() if path.endswith(".parquet")}


def contents(answer: Answer, ending: str) -> dict[str, str]:
    """Return the hash of each file of a kind; of two sets, each has a ``flow.npy``."""
    return {"/".join(Path(path).parts[-2:]): about[2] for path, about in answer["files"].items() if path.endswith(ending)}


def test_results_on_a_full_and_on_a_read_only_disk(with_flow: Path) -> None:
    """40 KiB hold a few folds of 16, then there is space, then nothing can be written any more."""
    full, finished, shown, more, whole = inside(
        "runs",
        small("runs", "40k"),
        PRIOR,
        larger("runs", "4m"),
        PRIOR,
        ["mount", "-o", "remount,ro", "runs"],
        PRIOR,
        [*PRIOR, "--seeds", "2"],
        ["umount", "runs"],
        PRIOR,
    )
    refused(full, "results cannot be written: No space left on device", "runs/smic@published-flow")
    assert 0 < len(folds(full)) < 16
    assert not [path for path in full["files"] if Path(path).name.startswith(".") and Path(path).name != ".lock"], "no half of a file"
    assert finished["code"] == 0, finished
    assert f"{len(folds(full))} finished before, {16 - len(folds(full))} to do" in finished["err"]
    assert folds(full).items() <= folds(finished).items(), "what was finished was made again"
    assert (shown["code"], shown["out"]) == (0, finished["out"])
    refused(more, "results cannot be written: Read-only file system", "runs/smic@published-flow")
    assert folds(more) == folds(shown) == folds(finished)
    assert contents(whole, ".parquet") == contents(finished, ".parquet"), "as on a disk that was never full"
    assert len(contents(whole, ".parquet")) == 16


@pytest.mark.torture  # results on a full disk, and preparation that is killed, are looked at on every run
def test_a_disk_that_is_full_while_preparing(rendered: Rendered, here: Path) -> None:
    """Four clips of about 0.8 MB, and the set that is made of them: first a clip does not fit, then the set."""
    prepare = ["merbench", "prepare", "smic", "--source", "synthetic", "--workers", "2"]
    clips, whole_set, finished, again, whole = inside(
        "prepared",
        small("prepared", "2m"),
        prepare,
        larger("prepared", "5m"),
        prepare,
        larger("prepared", "20m"),
        prepare,
        ["mount", "-o", "remount,ro", "prepared"],
        prepare,
        ["umount", "prepared"],
        prepare,
        MERBENCH_SYNTHETIC=str(rendered.root),
    )
    refused(clips, "prepared data cannot be written: No space left on device", "prepared/synthetic")
    assert 0 < len(contents(clips, ".npz")) < 4
    refused(whole_set, "prepared data cannot be written: No space left on device", "prepared/synthetic")
    assert len(contents(whole_set, ".npz")) == 4
    assert contents(clips, ".npz").items() <= contents(whole_set, ".npz").items()
    for answer in (clips, whole_set):
        assert not contents(answer, ".npy"), "no half of a set"
        assert not [path for path in answer["files"] if Path(path).name.startswith(".") and Path(path).name != ".lock"], "no half of a clip"
    assert finished["code"] == 0, finished
    assert (again["code"], again["files"]) == (0, finished["files"])
    assert contents(finished, ".npy") == contents(whole, ".npy")
    assert len(contents(whole, ".npy")) == 8


@pytest.mark.torture
def test_a_disk_that_is_full_while_rendering(here: Path) -> None:
    synth = ["merbench", "synth", "synthetic", "--size", "mini", "--on", "smic", "--workers", "2"]
    full, finished, whole = inside(
        "synthetic", small("synthetic", "5m"), synth, larger("synthetic", "60m"), synth, ["umount", "synthetic"], synth
    )
    refused(full, "the disk refuses: No space left on device", "synthetic/smic")
    assert finished["code"] == 0, finished
    assert {path: about[2] for path, about in finished["files"].items()} == {path: about[2] for path, about in whole["files"].items()}


def test_a_folder_for_temporary_files_with_a_long_name(with_flow: Path) -> None:
    """A socket's name has about a hundred bytes at most, and a cluster's TMPDIR may be longer."""
    place = with_flow / ("long" * 30)
    place.mkdir()
    command = Command(*PRIOR[1:], TMPDIR=str(place))
    assert command.end() == 2, command.said()
    assert "worker processes cannot be started" in command.said()
    assert str(place) in command.said()
    assert "do: " in command.said()
    assert "Traceback" not in command.said()
