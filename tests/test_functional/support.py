"""What the tests of the tensor functions share: drawn inputs and plain-loop softmax."""

import math

import torch
from hypothesis import settings
from hypothesis import strategies as st

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**16)
M, N, K, D = 2, 4, 1, 5


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def draw(seed):
    g = torch.Generator().manual_seed(seed)
    student = 3 * torch.randn(N, K, D, generator=g)
    mentors = [3 * torch.randn(N, K, D, generator=g) for _ in range(M)]
    weight = torch.rand(M, N, K, generator=g)
    weight[0, 0] = 0
    tau = 1 + 3 * torch.rand(M, N, K, generator=g)
    target = torch.randint(0, D, (N, K), generator=g)
    return student.requires_grad_(), mentors, weight, tau, target


def softmax(z, tau=1.0):
    e = [math.exp(v / tau) for v in z]
    return [v / sum(e) for v in e]


def chosen(values, counts):
    """The student's row and those of the mentors that count, ``counts`` being a list of bools."""
    return [values[0], *(v for v, counted in zip(values[1:], counts) if counted)]
