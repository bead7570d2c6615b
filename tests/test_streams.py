"""Keyed randomness: known values, uniformity, independence of everything else."""

from __future__ import annotations

import torch

from merbench import streams
from merbench.layers import Keyed, KeyedDropout


def test_splitmix64_known_values() -> None:
    """The published test vector: seed 1234567, first five outputs (as unsigned: 6457827717110365317, 3203168211198807973, ...)."""
    found = streams.words(1234567, torch.arange(5)).tolist()
    unsigned = [value % 2**64 for value in found]
    assert unsigned == [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


def test_keys_come_from_names() -> None:
    assert streams.key_of("ststnet", "smic/s01", 0) == streams.key_of("ststnet", "smic/s01", 0)
    names = [("a", "b"), ("ab",), ("a", "b", ""), ("a", 1), ("a", 2)]
    assert len({streams.key_of(*each) for each in names}) == len(names)
    assert streams.key_of("pinned", 3) == -8560820988896291568


def test_draws_are_uniform_and_do_not_repeat() -> None:
    drawn = streams.uniform(5, torch.arange(100_000))
    assert 0 <= drawn.min() < 1e-3
    assert 0.999 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.005
    assert len(set(drawn.tolist())) == 100_000
    few = streams.words(5, torch.arange(9))
    assert streams.shorts(5, 36, torch.device("cpu")).tolist() == few.view(torch.int16).tolist()
    shorts = streams.shorts(5, 100_001, torch.device("cpu")).float()
    assert shorts.numel() == 100_001
    assert abs(shorts.mean()) < 300
    assert abs(torch.corrcoef(torch.stack([shorts[:-1], shorts[1:]]))[0, 1]) < 0.02


def test_an_order_depends_on_key_and_items_alone() -> None:
    items = torch.tensor([3, 8, 1, 9, 4])
    first = items[streams.shuffled(1, items)]
    torch.manual_seed(99)
    assert first.tolist() == items[streams.shuffled(1, items)].tolist()
    assert sorted(first.tolist()) == [1, 3, 4, 8, 9]
    longer = torch.tensor([7, 3, 8, 1, 9, 4])
    assert [i for i in longer[streams.shuffled(1, longer)].tolist() if i != 7] == first.tolist(), "another item moves no other"
    assert len({tuple(streams.shuffled(key, items).tolist()) for key in range(20)}) > 10


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    layer = KeyedDropout(0.3)
    layer.seed(1)
    out = layer(torch.ones(200, 500))
    assert abs((out == 0).float().mean() - 0.3) < 0.01
    assert abs(out.mean() - 1) < 0.01
    assert layer.eval()(torch.ones(3)).tolist() == [1, 1, 1]


def test_dropout_draws_anew_each_call_and_again_from_its_key() -> None:
    layer, x = KeyedDropout(0.5), torch.ones(1000)
    layer.seed(7)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.seed(7)
    torch.rand(5)
    assert torch.equal(layer(x), first)
    layer.seed(8)
    assert not torch.equal(layer(x), first)


def test_dropout_leaves_global_randomness_and_saved_weights_alone() -> None:
    layer = KeyedDropout(0.5)
    before = torch.get_rng_state()
    layer(torch.ones(10))
    assert torch.equal(torch.get_rng_state(), before)
    assert not layer.state_dict()
    assert list(Keyed(saved=True).state_dict()) == ["key"]


def test_dropout_in_stacked_folds_draws_what_each_fold_draws_alone() -> None:
    layers = [KeyedDropout(0.4) for _ in range(3)]
    for index, layer in enumerate(layers):
        layer.seed(index)
    x = torch.rand(3, 10, 7)
    alone = torch.stack([layer(each) for layer, each in zip(layers, x, strict=True)])
    for index, layer in enumerate(layers):
        layer.seed(index)
    parameters, buffers = torch.func.stack_module_state(layers)

    def call(b: dict[str, torch.Tensor], each: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.func.functional_call(layers[0], (parameters, b), (each,))
        return out

    together = torch.vmap(call)(buffers, x)
    assert torch.equal(alone, together)
