"""Displacement fields: each function against what it must give by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from merbench import displacement
from merbench.displacement import agreement, crop, dynamic_image, even, least_squares, median, roughness, scaled, ssim, stretched, warp
from merbench.layers import KeyedUniform


def waves(height: int, width: int, dx: float = 0, dy: float = 0) -> Tensor:
    """A smooth texture (1, 1, H, W), of which everything went by (dx, dy)."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - dx, y - dy
    made = np.sin(0.5 * x + 0.1 * y) + np.sin(0.5 * y - 0.1 * x + 1)
    return torch.from_numpy(made)[None, None].float()


def constant(height: int, width: int, u: float, v: float) -> Tensor:
    return torch.tensor([u, v]).view(1, 2, 1, 1).expand(1, 2, height, width)


@pytest.mark.parametrize(("u", "v"), [(3, 0), (0, -2), (4, 5)])
def test_warping_undoes_a_shift(u: int, v: int) -> None:
    before = torch.rand(2, 3, 20, 26)
    after = before.roll((v, u), dims=(2, 3))
    back = warp(after, constant(20, 26, u, v).expand(2, 2, 20, 26))
    assert torch.allclose(back[:, :, 6:-6, 6:-6], before[:, :, 6:-6, 6:-6], atol=1e-5)


def test_warping_samples_between_pixels_and_stays_at_the_border() -> None:
    after = torch.arange(10.0).expand(1, 1, 4, 10)
    assert torch.allclose(warp(after, constant(4, 10, 0.25, 0.0))[0, 0, :, :9], after[0, 0, :, :9] + 0.25, atol=1e-5)
    assert torch.allclose(warp(after, constant(4, 10, 100.0, 0.0)), torch.full((1, 1, 4, 10), 9.0))
    assert torch.equal(warp(after, torch.zeros(1, 2, 4, 10)).round(decimals=4), after)


@settings(max_examples=20, deadline=None)
@given(st.floats(12, 18), st.floats(12, 18), st.floats(2, 12), st.integers(1, 9))
def test_a_crop_of_a_linear_field_has_its_values(x: float, y: float, side: float, size: int) -> None:
    rows, columns = torch.meshgrid(torch.arange(30.0), torch.arange(32.0), indexing="ij")
    field = torch.stack([2 * columns - rows, columns + 3 * rows + 1])[None].expand(2, 2, 30, 32)
    centres = torch.tensor([(x, y), (15.0, 14.0), (14.0, 16.0)])[None].expand(2, 3, 2)
    found = crop(field, centres, torch.tensor([side, 3.0]), size)
    assert found.shape == (2, 3, 2, size, size)
    steps = ((np.arange(size) + 0.5) / size - 0.5) * side
    across, down = np.meshgrid(x + steps, y + steps)
    assert np.allclose(found[0, 0, 0].numpy(), 2 * across - down, atol=1e-3)
    assert np.allclose(found[0, 0, 1].numpy(), across + 3 * down + 1, atol=1e-3)
    assert found[1, 1, 0].mean().item() == pytest.approx(2 * 15 - 14, abs=1e-3), "each clip has a side of its own"


def test_a_crop_can_be_learnt_through() -> None:
    field = torch.rand(1, 2, 12, 12, requires_grad=True)
    crop(field, torch.tensor([[(6.0, 6.0)]]), torch.tensor([4.0]), 3).sum().backward()  # type: ignore[no-untyped-call]
    assert field.grad is not None
    assert field.grad.sum().item() == pytest.approx(18, abs=1e-4)
    assert field.grad[..., :3].abs().sum() == 0


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (1, 2)])
def test_the_median_of_an_even_count_is_the_mean_of_the_middle_two(shape: tuple[int, int]) -> None:
    field = torch.rand(3, 2, *shape)
    found = median(field)
    assert found.shape == (3, 2, 1, 1)
    assert np.allclose(found.numpy(), np.median(field.numpy(), axis=(2, 3), keepdims=True))


def test_evened_frames_do_not_tell_the_light() -> None:
    frames = torch.rand(3, 1, 16, 16)
    found = even(frames)
    assert torch.allclose(found.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(found.square().mean(dim=(1, 2, 3)), torch.ones(3), atol=1e-1)
    assert torch.allclose(even(frames * 0.8 + 0.1), found, atol=2e-2)
    assert torch.isfinite(even(torch.full((1, 1, 4, 4), 0.3))).all(), "a plain frame has no deviation"


@pytest.mark.parametrize(("dx", "dy"), [(0.3, 0.0), (0.0, -0.4), (0.25, 0.2), (-0.1, 0.35)])
def test_least_squares_find_a_small_shift(dx: float, dy: float) -> None:
    found = least_squares(even(waves(40, 44)), even(waves(40, 44, dx, dy)))
    inner = found[0, :, 6:-6, 6:-6].flatten(1).median(dim=1).values.numpy()
    assert np.hypot(*(inner - (dx, dy))) < 0.1 * np.hypot(dx, dy)


def test_least_squares_see_no_motion_without_texture() -> None:
    plain = torch.zeros(1, 1, 16, 16)
    assert least_squares(plain, plain + 0.01).abs().max() < 0.05
    assert torch.equal(least_squares(waves(12, 12), waves(12, 12)), torch.zeros(1, 2, 12, 12))


@pytest.mark.parametrize("window", [3, 5, 9])
def test_a_pixel_is_seen_by_least_squares_in_its_window_alone(window: int) -> None:
    """A gradient needs a pixel on each side, so that a pixel reaches so far beyond half the window."""
    before, after, odd = waves(32, 32), waves(32, 32, 0.3), waves(32, 32)
    odd[..., 16, 16] += 1
    seen = (least_squares(odd, after, window) - least_squares(before, after, window)).abs().amax(dim=1)[0] > 1e-6
    reach = window // 2 + 1
    assert seen.any(dim=0).nonzero().flatten().tolist() == list(range(16 - reach, 17 + reach))
    firm, soft = (least_squares(before, after, window, firmness).abs().mean() for firmness in (10.0, 1e-3))
    assert firm < 0.2 * soft, "it draws towards zero"


def test_a_frame_is_like_itself_and_less_like_any_other() -> None:
    a, b = even(waves(20, 20)), even(waves(20, 20, 1.5))
    assert torch.allclose(ssim(a, a), torch.ones(1, 1, 18, 18), atol=1e-3)
    assert ssim(a, b).mean() < 0.95
    x, y = (each[0, 0, 4:7, 7:10].double().numpy() for each in (a, b))
    one, two = (0.01 * 4) ** 2, (0.03 * 4) ** 2
    light = (2 * x.mean() * y.mean() + one) / (x.mean() ** 2 + y.mean() ** 2 + one)
    form = (2 * ((x - x.mean()) * (y - y.mean())).mean() + two) / (x.var() + y.var() + two)
    assert ssim(a, b)[0, 0, 4, 7].item() == pytest.approx(light * form, abs=1e-3)
    assert torch.allclose(ssim(a, b), ssim(b, a))


def test_roughness_costs_less_at_an_edge_of_the_frame() -> None:
    field = torch.zeros(1, 2, 8, 8)
    field[..., 4:] = 1
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 2
    assert roughness(field, torch.zeros_like(edge)).item() == pytest.approx(1 / 7)
    assert roughness(field, edge).item() == pytest.approx(np.exp(-2) / 7)
    assert roughness(torch.ones_like(field), edge).item() == 0


def test_agreement_of_what_is_right_wrong_and_nothing() -> None:
    reference = torch.randn(2, 2, 9, 9)
    lengths = np.median(np.hypot(*reference.numpy().transpose(1, 0, 2, 3)).reshape(2, -1), axis=1)
    error, zero, correlation = agreement(reference, reference)
    assert error.tolist() == [0, 0]
    assert zero.numpy() == pytest.approx(lengths)
    assert correlation.numpy() == pytest.approx([1, 1], abs=1e-5)
    error, _, correlation = agreement(-reference, reference)
    assert error.numpy() == pytest.approx(2 * lengths)
    assert correlation.numpy() == pytest.approx([-1, -1], abs=1e-5)
    error, zero, correlation = agreement(torch.zeros_like(reference), reference)
    assert torch.equal(error, zero)
    assert correlation.tolist() == [0, 0]


def test_agreement_is_pearsons_over_known_places_only() -> None:
    generator = torch.Generator().manual_seed(3)
    field, reference = (torch.randn(2, 2, 7, 7, generator=generator) + 0.4 for _ in range(2))
    known = torch.rand(2, 7, 7, generator=generator) < 0.6
    hidden = torch.where(known[:, None], reference, torch.full_like(reference, torch.nan))
    hidden[0, 1, 0, 0] = torch.nan  # half known is not known
    known[0, 0, 0] = False
    error, zero, correlation = agreement(field, hidden)
    for clip in range(2):
        a, b = (x[clip][:, known[clip]].numpy() for x in (field, reference))
        assert correlation[clip].item() == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-5)
        lengths = np.sort(np.hypot(*(a - b)))
        assert lengths[(len(lengths) - 1) // 2] - 1e-6 <= error[clip].item() <= lengths[len(lengths) // 2] + 1e-6
        assert zero[clip].item() <= np.hypot(*b).max()
    changed = torch.where(known[:, None], field, field + 1000)
    assert all(torch.equal(a, b) for a, b in zip(agreement(changed, hidden), (error, zero, correlation), strict=True))


def test_a_dynamic_image_is_approximate_rank_pooling() -> None:
    """Weights as the sum over later frames that Bilen et al. derive them from, and not in closed form."""
    frames = torch.rand(2, 6, 3, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    weights = [sum((2 * i - 6 - 1) / i for i in range(t, 7)) for t in range(1, 7)]
    assert sum(weights) == pytest.approx(0)  # what stays the same goes out
    found = dynamic_image(frames)
    for clip in range(2):
        image = sum(weight * frame for weight, frame in zip(weights, frames[clip].numpy(), strict=True))
        expected = (image - image.min()) / (image.max() - image.min()) - 0.5
        assert np.allclose(found[clip].numpy(), expected)


def test_a_stretched_channel_goes_from_end_to_end_whatever_its_unit_was() -> None:
    image = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    found = stretched(image)
    assert torch.equal(found.amin((2, 3)), torch.zeros(3, 2))
    assert torch.equal(found.amax((2, 3)), torch.ones(3, 2))
    assert torch.equal(found.flatten(2).argsort(), image.flatten(2).argsort())
    units = torch.tensor([3.0, 0.1]).view(1, 2, 1, 1)
    assert torch.allclose(stretched(image * units - units), found, atol=1e-5)
    assert torch.equal(stretched(torch.ones(1, 2, 8, 8)), torch.zeros(1, 2, 8, 8))


def test_scaled_flow_has_unit_size_whatever_its_unit_was() -> None:
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(3, 2, 28, 28, generator=generator)
    found = scaled(field, 0.99)
    for clip in range(3):
        inside = (found[clip].abs() <= 1).float().mean()
        assert 0.989 < inside < 0.992
    factors = torch.tensor([7.0, 0.01, 1.0]).view(3, 1, 1, 1)
    assert torch.allclose(scaled(field * factors, 0.99), found, atol=1e-5)  # each clip by itself
    assert torch.allclose(found[:, 0] * field[:, 1], found[:, 1] * field[:, 0], atol=1e-5)  # u and v by the same factor: directions stay
    assert torch.equal(scaled(torch.zeros(1, 2, 28, 28), 0.99), torch.zeros(1, 2, 28, 28))
    assert scaled(field, share=0.5).abs().flatten(1).median(dim=1).values == pytest.approx([1, 1, 1], abs=0.01)


def test_uniform_draws_are_of_the_key_and_anew_each_call() -> None:
    draws, like = KeyedUniform(), torch.zeros(2000)
    draws.seed(5)
    first, second = draws(like), draws(like)
    assert not torch.equal(first, second)
    assert 0 <= first.min() < 0.02 < 0.98 < first.max() < 1
    assert first.mean().item() == pytest.approx(0.5, abs=0.03)
    draws.seed(5)
    torch.manual_seed(0)
    assert torch.equal(draws(like), first)
    draws.seed(6)
    assert not torch.equal(draws(like), first)
    assert draws(torch.zeros(3, 4, dtype=torch.float64)).dtype == torch.float64


def test_nothing_here_is_left_untested() -> None:
    public = {
        name for name, each in vars(displacement).items() if callable(each) and getattr(each, "__module__", "") == displacement.__name__
    }
    assert public == {
        "agreement",
        "crop",
        "dynamic_image",
        "even",
        "least_squares",
        "median",
        "roughness",
        "scaled",
        "ssim",
        "stretched",
        "warp",
    }
