"""Peaks stay where they are: decoding and resampling on known points, both codecs."""

import math

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from classroomkd_mm.functional import (
    decode_heatmaps,
    decode_simcc,
    heatmap_marginals,
    product_heatmap,
    resample_bins,
    resample_heatmaps,
)

INPUT = (192, 256)


def codec(kind, size, sigma=2.0):
    extra = dict(unbiased=True) if kind == 'MSRAHeatmap' else {}
    return KEYPOINT_CODECS.build(
        dict(type=kind, input_size=INPUT, heatmap_size=size, sigma=sigma, **extra)
    )


def encode(kind, size, points):
    coder = codec(kind, size, sigma=2.0 * size[0] / 48)
    heatmaps = coder.encode(points[None], np.ones((1, len(points))))['heatmaps']
    return torch.tensor(heatmaps)[None], tuple(float(s) for s in coder.scale_factor)


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.uniform([30, 30], [160, 220], (40, 2)).astype(np.float32)


@pytest.mark.parametrize('kind', ['MSRAHeatmap', 'UDPHeatmap'])
@pytest.mark.parametrize('size', [(48, 64), (96, 128), (24, 32)])
def test_decoding_is_exact_to_a_tenth_of_a_heatmap_pixel(kind, size, points):
    heatmaps, scale = encode(kind, size, points)
    error = (decode_heatmaps(heatmaps, scale)[0] - torch.tensor(points)).abs().max()
    assert error < 0.1 * scale[0]


@pytest.mark.parametrize('source', ['MSRAHeatmap', 'UDPHeatmap'])
@pytest.mark.parametrize('target', ['MSRAHeatmap', 'UDPHeatmap'])
@pytest.mark.parametrize('size', [(96, 128), (72, 96), (48, 64)])
def test_resampling_keeps_peaks_to_a_tenth_of_a_heatmap_pixel(source, target, size, points):
    heatmaps, scale = encode(source, size, points)
    wanted = tuple(float(s) for s in codec(target, (48, 64)).scale_factor)
    moved = resample_heatmaps(heatmaps, scale, (64, 48), wanted)
    assert moved.shape == (1, 40, 64, 48)
    error = (decode_heatmaps(moved, wanted)[0] - torch.tensor(points)).abs().max()
    assert error < 0.1 * wanted[0]


def test_equal_grids_are_not_touched():
    heatmaps = torch.rand(1, 2, 8, 6)
    assert resample_heatmaps(heatmaps, (4.0, 4.0), (8, 6), (4.0, 4.0)) is heatmaps


def cubic(t):
    """Keys' kernel with a = -3/4, torch's."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def value_at(rows, x, y, padding):
    """The bicubic value of a map at a point of its own grid."""
    total = 0.0
    for j in range(math.floor(y) - 1, math.floor(y) + 3):
        for i in range(math.floor(x) - 1, math.floor(x) + 3):
            row, column = min(max(j, 0), len(rows) - 1), min(max(i, 0), len(rows[0]) - 1)
            if padding == 'border' or (row, column) == (j, i):
                total += cubic(x - i) * cubic(y - j) * rows[row][column]
    return total


@pytest.mark.parametrize('padding', ['border', 'zeros'])
@pytest.mark.parametrize('offsets', [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize('height', [5, 2])
def test_resampling_equals_plain_bicubic_loops(height, offsets, padding):
    """Also beyond the source's edges: the target reaches further, and by another scale per axis."""
    heatmap = torch.rand(1, 1, height, 4, generator=torch.Generator().manual_seed(0)).double()
    source, target = (3.0, 2.0), (2.0, 1.5)
    moved = resample_heatmaps(heatmap, source, (9, 8), target, offsets, padding)
    rows = heatmap[0, 0].tolist()
    for j in range(9):
        y = (j + offsets[1]) * target[1] / source[1] - offsets[0]
        for i in range(8):
            x = (i + offsets[1]) * target[0] / source[0] - offsets[0]
            want = value_at(rows, x, y, padding)
            assert moved[0, 0, j, i].item() == pytest.approx(want, abs=1e-6), (i, j)
    plain = resample_heatmaps(heatmap, source, (9, 8), target, offsets)
    assert torch.equal(plain, moved) == (padding == 'border')


def summit(rows):
    """The largest value's place, moved to the top of the parabola through the neighbours' logs."""
    places = [(j, i) for j in range(len(rows)) for i in range(len(rows[0]))]
    j, i = max(places, key=lambda place: rows[place[0]][place[1]])

    def shift(line, at):
        if not 0 < at < len(line) - 1:
            return 0.0
        before, peak, after = (math.log(v) for v in line[at - 1 : at + 2])
        return 0.5 * (after - before) / (2 * peak - before - after)

    return i + shift(rows[j], i), j + shift([row[i] for row in rows], j)


@pytest.mark.parametrize('height, width', [(3, 4), (4, 3), (2, 5), (1, 3)])
def test_decoding_equals_plain_loops_whatever_the_leading_dimensions(height, width):
    """On maps so small that most peaks are beside an edge, or on it."""
    heatmaps = 0.1 + torch.rand(2, 30, height, width, generator=torch.Generator().manual_seed(0))
    heatmaps = heatmaps.double()
    found = decode_heatmaps(heatmaps, (3.0, 2.0), offset=0.5)
    for rows, (x, y) in zip(heatmaps.flatten(0, 1).tolist(), found.flatten(0, 1).tolist()):
        i, j = summit(rows)
        assert (x, y) == pytest.approx(((i + 0.5) * 3, (j + 0.5) * 2), abs=1e-9)
    for at in (0, None, (1, 2)):
        assert torch.equal(decode_heatmaps(heatmaps[at], (3.0, 2.0), offset=0.5), found[at])


def test_a_peak_on_the_border_and_a_flat_map_decode_to_finite_pixels():
    heatmaps = torch.zeros(1, 2, 8, 6)
    heatmaps[0, 0, 0, 5] = 1
    assert decode_heatmaps(heatmaps, (4.0, 4.0))[0].tolist() == [[20.0, 0.0], [0.0, 0.0]]


def megvii(points):
    """MegviiHeatmap (MSPN, RSN) rounds down to a cell: its heatmaps, and the cells' middles."""
    coder = KEYPOINT_CODECS.build(
        dict(type='MegviiHeatmap', input_size=INPUT, heatmap_size=(48, 64), kernel_size=11)
    )
    heatmaps = coder.encode(points[None], np.ones((1, len(points))))['heatmaps']
    return torch.tensor(heatmaps)[None], torch.tensor(np.floor(points / 4) * 4 + 2)


def test_cells_and_pixels_half_a_pixel_apart(points):
    heatmaps, middles = megvii(points)
    scale, bins = (4.0, 4.0), (0.5, 0.5)
    found = decode_heatmaps(heatmaps, scale, offset=0.5)[0]
    torch.testing.assert_close(found, middles, atol=0.1, rtol=0)
    moved = resample_heatmaps(heatmaps / 255, scale, (64, 48), scale, offsets=(0.5, 0.0))
    torch.testing.assert_close(decode_heatmaps(moved, scale)[0], middles, atol=0.4, rtol=0)
    assert 0.8 < moved.amax() <= 1.01
    vectors = [
        resample_bins(z, 4.0, size, 0.5, offsets=(0.5, 0.0))
        for z, size in zip(heatmap_marginals(10 * heatmaps / 255), (384, 512))
    ]
    torch.testing.assert_close(decode_simcc(*vectors, bins)[0], middles, atol=0.5, rtol=0)
    back = product_heatmap(
        *(
            resample_bins(z, 0.5, size, 4.0, offsets=(0.0, 0.5))
            for z, size in zip(vectors, (48, 64))
        )
    )
    back = 10 * back.flatten(2).softmax(-1).view_as(back)
    torch.testing.assert_close(decode_heatmaps(back, scale, 0.5)[0], middles, atol=0.5, rtol=0)


def test_a_codec_whose_pixels_are_cells_is_read_and_moved_in_their_middle(points):
    """MegviiHeatmap (MSPN, RSN) rounds down to a cell: half a pixel off, on average none."""
    from classroomkd_mm.tasks.pose.readouts import HeatmapReadout, SimCCReadout

    heatmaps, middles = megvii(points)
    # Peaks are 255 high in this codec, and 10 times a peak of 1 is the natural logit here.
    readout = HeatmapReadout((4.0, 4.0), (48, 64), 'MegviiHeatmap', 10 / 255, offset=0.5)
    found = readout.keypoints([heatmaps])[0]
    torch.testing.assert_close(found, middles, atol=0.1, rtol=0)
    ours = HeatmapReadout((4.0, 4.0), (48, 64), 'MSRAHeatmap', 10.0)
    (moved,) = readout.parts([heatmaps], ours)
    moved = moved.unflatten(-1, (64, 48))
    torch.testing.assert_close(ours.keypoints([moved])[0], middles, atol=0.4, rtol=0)
    assert 8 < moved.amax() <= 10.1
    bins = SimCCReadout((0.5, 0.5), (384, 512), 'SimCCLabel', sharpness=1.0)
    vectors = readout.parts([heatmaps], bins)
    torch.testing.assert_close(bins.keypoints(vectors)[0], middles, atol=0.5, rtol=0)
    (back,) = bins.parts(vectors, readout)
    back = readout.keypoints([back.softmax(-1).unflatten(-1, (64, 48))])[0]
    torch.testing.assert_close(back, middles, atol=0.5, rtol=0)
