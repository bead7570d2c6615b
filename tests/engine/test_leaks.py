"""Every planted leak is seen by the audit, and by the promises it breaks; methods without one pass."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from merbench import methods
from merbench.data import load, serving
from merbench.engine import fold, inner
from merbench.method import METHODS, ClosedForm
from merbench.methods import NAMES
from tests.conftest import Cli, Rendered

LEAKS = Path(__file__).parents[1] / "leaks"
REPLACED = {"garbage", "another subject"}
BROKEN = {
    "normalises_over_all": REPLACED,
    "pretrains_on_all": REPLACED,
    "picks_best_epoch": {"garbage"},
    "oversamples_before_split": REPLACED,
    "batch_statistics": {"company"},
    "looks_labels_up": {"permuted labels", "company"},
    "remembers_held_out": {*REPLACED, "last epoch only"},
    "reads_the_store": {"files"},
    "learns_from_all": REPLACED,
    "fits_on_all_outside_the_state": REPLACED,
    "keeps_first_look": REPLACED,
    "normalises_by_subject": {"served"},
    "magnifies_by_class": {"served"},
    "goes_on_from_last_fold": {"again"},
    "reads_at_import": {"files"},
    "asks_another_process": {"files"},
    "chooses_inner_on_held_out": REPLACED,
}
"""What each leak must break. It may break more: who looks labels up may be seen to open the clip list."""


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back whatever a planted leak changes in merbench."""
    for owner, name in ((serving, "_flow"), (fold, "training_clips"), (fold, "LosoDataModule"), (fold.Recorder, "keep")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(load, "footage", load.footage)
    monkeypatch.setattr(inner, "split", inner.split)


def audited(cli: Cli, *words: str, on: str = "smic") -> tuple[int, list[dict[str, Any]], str]:
    answer = cli("audit", *words, "--on", on, "--workers", "1", "--out", "audit.json")
    assert "Traceback" not in answer.err
    findings = json.loads(Path("audit.json").read_text())["findings"] if Path("audit.json").exists() else []
    return answer.code, findings, answer.out + answer.err


def broken(findings: list[dict[str, Any]]) -> set[str]:
    return {finding["promise"] for finding in findings if finding["verdict"] == "broken"}


@pytest.mark.parametrize("leak", BROKEN)
def test_a_planted_leak_is_caught(with_flow: Path, cli: Cli, mended: None, leak: str) -> None:
    assert cli("prepare", "smic", "--source", "published-flow").code == 0
    words = ("training.epochs=2", "training.inner=2", "--folds", "1") if "inner" in leak else ("training.epochs=6", "--folds", "2")
    code, findings, said = audited(cli, str(LEAKS / f"{leak}.py"), "training.lr=0.02", *words, "--no-preparation")
    assert code == 1, said
    assert broken(findings) >= BROKEN[leak], said
    assert "cannot be trusted" in said


def test_every_leak_has_its_test() -> None:
    assert {path.stem for path in LEAKS.glob("*.py")} == {*BROKEN, "spots_apex_by_all", "__init__"}


READ_FRAMES = {
    "frl_dgt": ("training.epochs=1", "method.warm_up=1"),
    "lbp_top": (),
    "micro_attention": ("training.epochs=1",),
    "moext": ("training.epochs=1", "method.pretraining=1"),
}
"""Methods that published flow cannot serve, each with what makes it short."""


def shorter(name: str) -> tuple[str, ...]:
    """Return overrides under which a method trains for seconds and reads published flow; none for those in closed form."""
    if name in READ_FRAMES:
        return READ_FRAMES[name]
    if name in ("majority", "prior", "svm_flow"):
        return ()
    smaller = {"timm_backbone": "method.size=28", "featref": "method.widths=[3,6]", "dual_inception": "method.widths=[3,6]"}
    return ("training.epochs=2", "training.batch=64", *([smaller[name]] if name in smaller else []))


def test_who_reads_frames_is_known() -> None:
    for name in NAMES:
        methods.load(name)
        method: Any = METHODS[name]
        with torch.device("meta"):
            assert (method(3).inputs.frame is not None) == (name in READ_FRAMES), name
            assert isinstance(method(3), ClosedForm) == (not shorter(name)), name


SLOW = ("dual_inception", "featref", "lbp_top", "moext", "msjfn", "off_apexnet", "rcn_a", "sssnet", "timm_backbone")
"""What make torture audits: methods that have nothing which the others have not; `tests.engine.test_fold` trains them all with another subject in place."""


def proofs(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.torture] if name in SLOW else []) for name in names]


@pytest.mark.parametrize("name", proofs(name for name in NAMES if name not in READ_FRAMES))
def test_methods_on_flow_hold_every_promise(with_flow: Path, cli: Cli, name: str) -> None:
    code, findings, said = audited(cli, name, *shorter(name), "--folds", "1")
    assert code == 0, said
    assert {finding["promise"] for finding in findings} == set(PROMISES_OF_A_RUN), said
    assert {finding["verdict"] for finding in findings} == {"held"}, said


PROMISES_OF_A_RUN = (
    *(
        "again",
        "garbage",
        "another subject",
        "last epoch only",
        "served",
        "company",
        "permuted labels",
        "files",
        "preparation",
        "persons",
        "twins",
    ),
)


@pytest.mark.parametrize("name", proofs(READ_FRAMES))
def test_methods_on_frames_hold_every_promise(rendered: Rendered, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from merbench.data import schemes

    monkeypatch.setenv("MERBENCH_SYNTHETIC", str(rendered.root))
    monkeypatch.setattr(schemes, "scheme", lambda _name: rendered.scheme)
    words = (*shorter(name), "--source", "synthetic", "--scheme", "megc3-mini", "--folds", "1")
    code, findings, said = audited(cli, name, *words, "--no-preparation", on="smic+casme2")
    assert code == 0, said
    untold = {finding["promise"] for finding in findings if finding["verdict"] == "not told"}
    assert untold == {"permuted labels"}, "of eight clips even a perfect score could be luck"
    stages = {"frl_dgt": "warm-up, recognition", "moext": "pre-training, recognition", "micro_attention": "fine-tuning"}
    assert name not in stages or f"weights, optimiser and losses of {stages[name]}, and predictions" in said, said


@pytest.mark.torture  # the other leaks are planted on every run
def test_an_apex_spotted_over_all_clips_is_caught(rendered: Rendered, here: Path, mended: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from merbench import methods
    from merbench.config import Data
    from merbench.data import schemes, store
    from merbench.data.prepare import silent
    from merbench.engine.anew import prepared_anew

    monkeypatch.setenv("MERBENCH_SYNTHETIC", str(rendered.root))
    monkeypatch.setattr(schemes, "scheme", lambda name: replace(rendered.scheme, name=name))

    def unlike() -> tuple[list[str], int]:
        data = Data("smic", "synthetic")
        prepared = store.load(*load.ready(data, "megc3", workers=1))
        return prepared_anew(data, "megc3", "smic", "smic/s04", prepared, silent, 1)

    assert unlike() == ([], 2), "nothing of smic/s02 depends on smic/s04"
    assert not list(store.ROOT.glob("*/.unfinished-*")), "links to the database are gone with it"
    methods.load(str(LEAKS / "spots_apex_by_all.py"))
    found, compared = unlike()
    assert compared == 2
    assert any("smic/s02" in each and "apex" in each for each in found), found
