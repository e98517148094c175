"""All functions stay on their inputs' device and in their precision, and wait for neither."""

import pytest
import torch

from classroomkd_mm import functional as F

M, N, K, D = 2, 3, 4, 6


def rows(of, like):
    """M mentors' outputs."""
    return [torch.rand(*of, device=like.device, dtype=like.dtype) for _ in range(M)]


def truths(like):
    return torch.ones(N, K, dtype=torch.bool, device=like.device)


def classes(like, *shape):
    return torch.ones(*shape, dtype=torch.long, device=like.device)


# Each is given a tensor of the device and the precision that all its results must have.
CALLS = {
    'kl': lambda x: F.kl_distill(x(N, K, D), rows((N, K, D), x(1)), x(M, N, K), x(M, N, K)),
    'mse': lambda x: F.mse_distill(x(N, K, D), rows((N, K, D), x(1)), x(M, N, K)),
    'dkd': lambda x: F.dkd_distill(
        x(N, K, D), rows((N, K, D), x(1)), x(M, N, K), x(M, N, K), classes(x(1), N, K), 1.0, 8.0
    ),
    'dist': lambda x: F.dist_distill(
        x(N, K, D), rows((N, K, D), x(1)), x(M, N, K), x(M, N, K), 1.0, 1.0
    ),
    'norm': lambda x: F.gradient_norm([x(N, K, D)]),
    'balance': lambda x: F.balance_gradient([x(N, K, D)], [x(N, K, D)], 1.0)[0],
    'ratio': lambda x: F.balance_gradient([x(N, K, D)], [x(N, K, D)], 1.0, 'sample')[1],
    'agreement': lambda x: F.gradient_agreement([x(N, K, D)], [x(N, K, D)]),
    'projected': lambda x: F.project_gradient([x(N, K, D)], [x(N, K, D)])[0],
    'heatmap peaks': lambda x: F.decode_heatmaps(x(N, K, 8, 6), (4.0, 4.0), 0.5),
    'heatmaps': lambda x: F.resample_heatmaps(x(N, K, 8, 6), (4.0, 4.0), (16, 12), (2.0, 2.0)),
    'finer bins': lambda x: F.resample_bins(x(N, K, D), 2.0, 12, 1.0, (0.5, 0.0)),
    'coarser bins': lambda x: F.resample_bins(x(N, K, D), 1.0, 3, 2.0),
    'marginals': lambda x: F.heatmap_marginals(x(N, K, 8, 6)),
    'product': lambda x: F.product_heatmap(x(N, K, 6), x(N, K, 8)),
    'sample score': lambda x: F.sample_score(x(1 + M, N, K), truths(x(1))),
    'batch score': lambda x: F.batch_score(
        x(1 + M, N, 1), True, torch.ones(1 + M, N, 1, dtype=torch.bool, device=x(1).device)
    ),
    'ranks': lambda x: F.member_ranks(x(1 + M, N, K), 2),
    'places': lambda x: F.ordinal_positions(x(1 + M, N, K), truths(x(1)).expand(M, N, K)),
    'oks': lambda x: F.keypoint_similarity(x(1 + M, N, K, 2), x(N, K, 2), x(N), x(K)),
    'pck': lambda x: F.keypoint_pck(x(1 + M, N, K, 2), x(N, K, 2), x(N), 0.5),
    'probability': lambda x: F.true_class_probability(x(1 + M, N, D), classes(x(1), N)),
    'soft label': lambda x: F.true_class_probability(x(1 + M, N, D), x(N, D)),
    'adaptive': lambda x: F.adaptive_temperature(x(1 + M, N, 1), truths(x(1))[:, :1], 12.0),
    'dynamic': lambda x: F.dynamic_temperatures(x(N, K, D), rows((N, K, D), x(1)), 4.0),
    'confidence': lambda x: F.confidence_weights(x(M, N, 1), truths(x(1))[:, :1].expand(M, N, 1)),
    'entropy': lambda x: F.entropy_weights(rows((N, K, D), x(1)), truths(x(1)).expand(M, N, K)),
    'shares': lambda x: F.entropy_weights(rows((N, K, D), x(1)), form='share'),
}


@pytest.mark.parametrize('call', CALLS)
@pytest.mark.parametrize('device, dtype', [('meta', torch.float32), ('cpu', torch.float64)])
def test_what_goes_in_decides_where_and_how_precisely_it_is_reckoned(call, device, dtype):
    """On the meta device nothing can be read: a look at a value fails, as does another device."""
    found = CALLS[call](lambda *shape: torch.rand(*shape, device=device, dtype=dtype))
    for each in found if isinstance(found, (tuple, list)) else (found,):
        assert (each.device.type, each.dtype) == (device, dtype)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_mentors_of_another_precision_leave_the_students(dtype):
    g = torch.Generator().manual_seed(0)
    student = torch.rand(N, K, D, generator=g).requires_grad_()
    mentors = [torch.rand(N, K, D, generator=g).to(dtype) for _ in range(M)]
    weight = torch.rand(M, N, K, generator=g)
    for loss in (F.mse_distill, lambda *given: F.kl_distill(*given, weight + 1)):
        found = loss(student, mentors, weight)
        assert found.dtype is torch.float32
        torch.testing.assert_close(found, loss(student, [m.float() for m in mentors], weight))
        assert torch.autograd.grad(found, student)[0].dtype is torch.float32
