from __future__ import annotations

import pickle

import pytest

from merbench.errors import UserError
from merbench.registry import Registry, nearest


def test_a_second_name_is_refused() -> None:
    registry: Registry[int] = Registry("number")
    registry.add("one")(1)
    with pytest.raises(ValueError, match="two numbers are called 'one'"):
        registry.add("one")(2)
    assert registry["one"] == 1
    assert list(registry) == ["one"]


def test_a_miss_offers_the_nearest() -> None:
    registry: Registry[int] = Registry("method")
    for name in ("ststnet", "svm_flow", "frl_dgt"):
        registry.add(name)(0)
    with pytest.raises(UserError) as caught:
        registry["FRL-DGT"]
    assert "there is no method 'FRL-DGT'" in str(caught.value)
    assert "did you mean 'frl_dgt'?" in str(caught.value)


def test_nothing_near_is_not_guessed() -> None:
    assert nearest("zzz", ["smic", "samm"]) == "known: samm, smic"


def test_errors_come_home_from_workers() -> None:
    error = UserError("what", where="where", remedy="remedy")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "what\nwhere: where\ndo: remedy"
