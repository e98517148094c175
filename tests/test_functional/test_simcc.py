"""SimCC and heatmaps: coordinates survive the way from one to the other."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    decode_heatmaps,
    decode_simcc,
    heatmap_marginals,
    product_heatmap,
    resample_bins,
    resample_heatmaps,
)

# A 192x256 input: points in its pixels.
POINTS = torch.tensor([[[20.3, 30.9], [101.7, 200.2], [96.0, 128.0], [150.4, 77.7]]])


def gaussian(centre, size, scale, sigma):
    """Logits whose softmax is a Gaussian: centre and sigma in input pixels."""
    x = torch.arange(size) * scale
    return -((x - centre[..., None]) ** 2) / (2 * sigma**2)


def simcc(split, sigma=5.0):
    return tuple(
        gaussian(POINTS[..., axis], int(size * split), 1 / split, sigma)
        for axis, size in ((0, 192), (1, 256))
    )


@pytest.mark.parametrize('scale', [(4.0, 4.0), (191 / 47, 255 / 63)], ids=['MSRA', 'UDP'])
@pytest.mark.parametrize('split', [2.0, 3.0])
def test_simcc_to_heatmap_keeps_the_point_to_a_tenth_of_a_heatmap_pixel(scale, split):
    x, y = (
        resample_bins(z, 1 / split, size, s) for z, size, s in zip(simcc(split), (48, 64), scale)
    )
    logits = product_heatmap(x, y)
    found = decode_heatmaps(logits.flatten(2).softmax(-1).view_as(logits), scale)
    assert (found - POINTS).abs().max() < 0.1 * 4, found


@pytest.mark.parametrize('scale', [(4.0, 4.0), (191 / 47, 255 / 63)], ids=['MSRA', 'UDP'])
@pytest.mark.parametrize('split', [2.0, 3.0])
def test_heatmap_to_simcc_keeps_the_point_to_a_tenth_of_a_heatmap_pixel(scale, split):
    x, y = (gaussian(POINTS[..., i], size, scale[i], 8.0) for i, size in ((0, 48), (1, 64)))
    heatmaps = y[..., None] + x[..., None, :]
    bins = [
        resample_bins(z, s, int(size * split), 1 / split)
        for z, s, size in zip(heatmap_marginals(heatmaps), scale, (192, 256))
    ]
    found = decode_simcc(*bins, (1 / split, 1 / split))
    # To the nearest bin.
    assert (found - POINTS).abs().max() < 0.5 / split + 0.02 * 4, found


@pytest.mark.parametrize('here, there', [(2.0, 3.0), (3.0, 2.0), (2.0, 2.0), (2.0, 0.5)])
def test_simcc_to_simcc_of_another_split_ratio(here, there):
    bins = [
        resample_bins(z, 1 / here, int(size * there), 1 / there)
        for z, size in zip(simcc(here), (192, 256))
    ]
    found = decode_simcc(*bins, (1 / there, 1 / there))
    # Half a bin of each.
    assert (found - POINTS).abs().max() <= 0.5 / here + 0.5 / there + 1e-4


def test_coarser_bins_lose_no_peak_and_no_probability():
    sharp = torch.full((1, 1, 384), -50.0)
    sharp[..., 101] = 50.0  # 50.5 pixels: between the heatmap pixels 12 (48) and 13 (52)
    p = resample_bins(sharp, 0.5, 48, 4.0).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert p[0, 0, 12].item() == pytest.approx(0.375, abs=1e-4)
    assert (p[0, 0] * torch.arange(48)).sum().item() * 4 == pytest.approx(50.5, abs=1e-3)


def test_marginals_and_product_equal_plain_sums():
    logits = torch.randn(2, 3, 4, 5)
    p = logits.flatten(2).softmax(-1).view_as(logits)
    x, y = heatmap_marginals(logits)
    torch.testing.assert_close(x.softmax(-1), p.sum(-2))
    torch.testing.assert_close(y.softmax(-1), p.sum(-1))
    product = product_heatmap(x, y).exp()
    torch.testing.assert_close(product, p.sum(-1)[..., None] * p.sum(-2)[..., None, :])
    assert resample_heatmaps(logits, (1.0, 1.0), (4, 5), (1.0, 1.0)) is logits


@given(
    here=st.floats(0.5, 4), there=st.floats(0.5, 4), height=st.floats(-1e4, 1e4),
    offsets=st.tuples(st.sampled_from([0.0, 0.5]), st.sampled_from([0.0, 0.5])),
)  # fmt: skip
@settings(deadline=None, max_examples=50)
def test_other_bins_of_flat_or_extreme_logits_are_finite(here, there, height, offsets):
    sizes = int(48 * here), int(48 * there)
    logits = torch.zeros(1, 2, sizes[0])
    logits[0, 1, ::3] = height
    moved = resample_bins(logits, 1 / here, sizes[1], 1 / there, offsets)
    assert moved.shape == (1, 2, sizes[1]) and moved.isfinite().all()
    assert moved.softmax(-1).sum(-1).allclose(torch.ones(1, 2))


@pytest.mark.parametrize('here, there', [(2.0, 0.25), (0.25, 2.0), (2.0, 3.0)])
@pytest.mark.parametrize('end', [0, -1], ids=['first bin', 'last bin'])
def test_a_peak_in_the_outermost_bin_stays_there(here, there, end):
    size, other = int(64 * here), int(64 * there)
    logits = torch.full((1, 1, size), -20.0)
    logits[..., end] = 20.0
    at = resample_bins(logits, 1 / here, other, 1 / there).argmax(-1).item() / there
    truth = (0 if end == 0 else size - 1) / here
    assert abs(at - truth) <= max(1 / here, 1 / there), (at, truth)


def test_each_axis_is_decoded_on_its_own_scale():
    x, y = torch.zeros(1, 1, 8), torch.zeros(1, 1, 9)
    x[..., 3] = y[..., 5] = 1
    assert decode_simcc(x, y, (0.5, 0.25)).flatten().tolist() == [1.5, 1.25]


def keys(t):
    """Keys' cubic kernel with a = -1/2."""
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


@pytest.mark.parametrize('offsets', [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)])
@pytest.mark.parametrize(
    'source, size, scale',
    [(2.0, 20, 0.75), (2.0, 8, 2.0), (2.0, 11, 2.0), (2.0, 30, 1.0), (1.0, 4, 2.5), (1.0, 8, 1.5)],
)
def test_other_bins_equal_plain_loops(source, size, scale, offsets):
    """Also beyond the outermost source bins: finer bins stay there as those are."""
    logits = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0)).double()
    got = resample_bins(logits, source, size, scale, offsets)
    if (size, scale) == (8, source) and offsets[0] == offsets[1]:
        assert got is logits
        return
    for row, found in zip(logits.flatten(0, 1).tolist(), got.flatten(0, 1).tolist()):
        p = [math.exp(z) / sum(map(math.exp, row)) for z in row]
        for t in range(size):
            place = (t + offsets[1]) * scale
            if scale <= source:
                place = min(max(place, offsets[0] * source), (7 + offsets[0]) * source)
            at = [(s + offsets[0]) * source - place for s in range(8)]
            if scale <= source:
                weight = [keys(abs(d) / source) for d in at]
                want = sum(w * z for w, z in zip(weight, row)) / sum(weight)
                assert found[t] == pytest.approx(want, rel=1e-5, abs=1e-5)
            else:
                share = sum(v * max(1 - abs(d) / scale, 0) for v, d in zip(p, at))
                assert math.exp(found[t]) == pytest.approx(share, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize('there', [0.5, 2.0, 6.0, 8.0])
@pytest.mark.parametrize('constant', [-300.0, 40.0])
def test_what_softmax_does_not_see_changes_nothing(there, constant):
    """Beyond the last source bin nothing is pulled towards 0, which would be the peak of -300."""
    logits = 10 * torch.randn(1, 3, 32, generator=torch.Generator().manual_seed(1))
    logits[..., 20] = 60
    plain, moved = (
        resample_bins(z, 1.0, int(32 * there), 1 / there) for z in (logits, logits + constant)
    )
    torch.testing.assert_close(moved.softmax(-1), plain.softmax(-1), rtol=1e-3, atol=1e-6)
    assert (moved.argmax(-1) / there - 20).abs().max() <= 0.5 / min(there, 1)
