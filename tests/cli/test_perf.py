"""merbench perf: that it measures what it says; how fast anything is, is no test."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import Cli


@pytest.mark.torture
def test_preparation_is_compared_with_bare_flow(here: Path, cli: Cli) -> None:
    answer = cli("perf", "prepare", "--clips", "3", "--repetitions", "1", "--workers", "1", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert (found["pairs"], found["cores"], len(found["bare"]), len(found["whole"])) == (3, 1, 2, 1)
    assert found["ratios"] == [pytest.approx(2 * found["whole"][0] / sum(found["bare"]))]
    assert found["ratio"] == median(found["ratios"]) > 0
    assert not list(here.iterdir()), "it leaves nothing behind"
