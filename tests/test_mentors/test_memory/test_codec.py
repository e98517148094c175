import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classroomkd_mm.functional import kl_distill
from classroomkd_mm.mentors.memory import Codec


def slowly(row, keep):
    """A row as it is remembered, value by value, without the rounding."""
    if len(row) <= 2 * keep:
        return row
    largest = sorted(range(len(row)), key=lambda i: -row[i])[:keep]
    rest = [row[i] for i in range(len(row)) if i not in largest]
    floor = math.log(sum(math.exp(value) for value in rest) / len(rest))
    return [row[i] if i in largest else floor for i in range(len(row))]


SHAPES = [((7,),), ((3, 40),), ((2, 5, 6),), ((3, 24), (3, 36)), ((1, 300, 300),)]


@pytest.mark.parametrize('keep', [1, 4, 16, 1000])
@pytest.mark.parametrize('shapes', SHAPES, ids=str)
def test_a_record_is_the_plain_loops(shapes, keep):
    codec = Codec(shapes, keep)
    generator = torch.Generator().manual_seed(0)
    parts = [3 * torch.randn(4, *shape, generator=generator) for shape in shapes]
    if max(math.prod(shape) for shape in shapes) > 10_000:
        parts = [part[:1] for part in parts]
    records = codec.encode(parts)
    assert records.dtype == torch.uint8 and records.shape == (len(parts[0]), codec.nbytes)
    for part, got in zip(parts, codec.decode(records)):
        assert got.dtype == torch.float32 and got.shape == part.shape
        rows = part.flatten(2) if part.dim() > 2 else part[:, None]
        wanted = torch.tensor([[slowly(row, keep) for row in each] for each in rows.tolist()])
        # Of a distance from the maximum half precision keeps 11 bits.
        reach = (rows.amax(-1, keepdim=True) - wanted).abs() / 2048 + 1e-6
        assert ((got.view_as(wanted) - wanted).abs() <= reach).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=60),
    st.integers(1, 40),
)
def test_the_peak_and_the_sum_of_the_softmax_stay(values, keep):
    row = torch.tensor([[values]])
    (got,) = Codec(((1, len(values)),), keep).decode(Codec(((1, len(values)),), keep).encode([row]))
    assert torch.equal(got.amax(-1), row.amax(-1))
    assert row.max() - row[0, 0, got[0, 0].argmax()] <= 1e-3 * row.max().abs().clamp(min=1)
    gap = (row.amax(-1) - row.amin(-1)).item()
    assert (got.logsumexp(-1) - row.logsumexp(-1)).abs() <= gap / 1024 + 1e-4


def test_extreme_values_stay_finite_and_large_maps_are_found_again():
    codec = Codec(((2, 5, 6),), 4)
    parts = torch.zeros(2, 2, 5, 6)
    parts[0, 0, 2, 3], parts[1, 1, 4, 5] = 3e38, -3e38
    (got,) = codec.decode(codec.encode([parts]))
    assert got.isfinite().all() and got[0, 0, 2, 3] == parts.max()
    large = torch.zeros(1, 1, 300, 300)  # places beyond 16 bits
    large[0, 0, 299, 298] = 1
    codec = Codec(((1, 300, 300),), 3)
    (got,) = codec.decode(codec.encode([large]))
    assert got.flatten().argmax() == 299 * 300 + 298


def test_one_of_a_batch_reads_as_the_batch():
    codec = Codec(((2, 5, 6), (3,)), 4)
    parts = [torch.randn(3, 2, 5, 6), torch.randn(3, 3)]
    records = codec.encode(parts)
    for i in range(3):
        for one, all_of_them in zip(codec.decode(records[i : i + 1]), codec.decode(records)):
            assert torch.equal(one[0], all_of_them[i])


def test_the_default_loses_a_hundredth_of_the_gradient_of_a_peak(peaks):
    """A heatmap with some noise, as a network gives, at a beta that makes it sharp."""
    torch.manual_seed(0)
    maps = peaks(torch.tensor([[20.3, 30.6], [40.2, 10.1]]), 64, 48)[None]
    maps = maps + 0.01 * torch.randn(1, 2, 64, 48)
    other = peaks(torch.tensor([[22.0, 30.0], [38.0, 12.0]]), 64, 48)[None]
    student = (10 * other).flatten(2).requires_grad_()
    codec = Codec(((2, 64, 48),), 128)
    (kept,) = codec.decode(codec.encode([maps]))
    one = torch.ones(1, 1, 2)
    losses = [kl_distill(student, [10 * each.flatten(2)], one, one) for each in (maps, kept)]
    gradients = [torch.autograd.grad(loss, student)[0] for loss in losses]
    assert torch.allclose(*losses, rtol=0.01)
    assert (gradients[1] - gradients[0]).norm() <= 0.01 * gradients[0].norm()
