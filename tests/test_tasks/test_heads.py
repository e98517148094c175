"""What stock heads allow."""

import pytest
import torch
from mmpose.models.losses.heatmap_loss import FocalHeatmapLoss
from torch import nn

from classroomkd_mm.tasks.heads import degree, replayed, scaled, takes_weights


def test_a_replayed_head_gets_its_own_forward_back():
    head, output = nn.Linear(2, 2), torch.zeros(1)
    own = head.forward
    for before in (None, lambda feats: 'its own'):
        if before is not None:
            head.forward = before
        with pytest.raises(RuntimeError, match='in between'), replayed(head, output):
            assert head(3) is output
            raise RuntimeError('in between')
        assert vars(head).get('forward') is before
    assert head(3) == 'its own' and own is not None


@pytest.mark.parametrize(
    'loss, linear',
    [
        (lambda z, y, w: ((z - y) ** 2).mean(-1).mul(w).mean(), True),
        (lambda z, y, w: ((z - y) * w[..., None]).square().mean(), False),  # not homogeneous
        # Homogeneous, but one sample's weight decides about another's loss.
        (lambda z, y, w: ((z - y) ** 2).mean(-1).mul(w).max(), False),
        (lambda z, y, w: ((z - y) ** 2).mean(-1).mul(w).sum() / w.sum(), False),
    ],
)
def test_a_loss_takes_weights_where_it_is_a_sum_over_samples(loss, linear):
    torch.manual_seed(0)
    assert takes_weights(loss, torch.rand(2, 3, 4), torch.rand(2, 3, 4)) == linear


def test_the_power_of_the_weights_is_told():
    torch.manual_seed(0)
    given = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    for power, want in ((1, 1), (2, 2), (3, None)):

        def loss(z, y, w, power=power):
            return ((z - y) ** 2).mean(-1).mul(w**power).sum()

        assert degree(loss, *given) == want
    # Sums over peaks, and over all where there is none: the targets must have peaks.
    focal, peaked = FocalHeatmapLoss(), torch.rand(2, 3, 4, 4)
    peaked[..., 0, 0] = 1
    assert degree(focal, torch.rand(2, 3, 4, 4), peaked) is None
    pair = tuple(torch.rand(2, 3, n) for n in (4, 5))
    assert degree(lambda z, y, w: sum(each.mean(-1).mul(w).sum() for each in z), pair, pair) == 1


def test_losses_are_scaled_and_nothing_else():
    given = dict(loss=torch.tensor(2.0), loss_list=[torch.tensor(4.0)], acc=torch.tensor(0.5))
    got = scaled(given, 0.5)
    assert got['loss'] == 1 and got['loss_list'][0] == 2 and got['acc'] == 0.5
