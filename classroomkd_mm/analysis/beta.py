"""Which beta makes the temperature matter on heatmaps?

For a student and a mentor of the same keypoints and grid (by default two networks of `make demo`),
prints, for each beta and temperature tau, the distillation loss tau^2 KL and the norm of its
gradient with respect to the student's heatmaps, both relative to tau = 1 at the same beta, and the
share of the mentor's softmax within one pixel of its peak.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor

from ..arguments import positive
from ..functional import kl_distill
from ..mentors import MentorSettings
from ..shipped import config_file

BETAS, TAUS = (1, 3, 10, 30, 100), (1.0, 2.0, 4.0)


def heatmaps(config: str, checkpoint: str, batches: int) -> Tensor:
    """Heatmaps ``(N, K, H, W)`` of a network on its validation pictures.

    Raises:
        FileNotFoundError: Where a file is missing.
        ValueError: Where the checkpoint is another network's, or none.
    """
    cfg = Config.fromfile(config_file(config))
    model, _ = MentorSettings(Path(config).stem, config_file(config), checkpoint).build()
    forward, preprocess = model.eval().forward, model.data_preprocessor
    assert callable(preprocess)  # a model of MMPose has one
    outputs = []
    with DefaultScope.overwrite_default_scope('mmpose'), torch.no_grad():
        for batch, _ in zip(Runner.build_dataloader(cfg.val_dataloader), range(batches)):
            outputs.append(forward(preprocess(batch)['inputs'], None, mode='tensor'))
    return torch.cat(outputs)


def measure(student: Tensor, mentor: Tensor, beta: float, tau: float) -> tuple[float, float]:
    """The distillation loss per sample and keypoint, and the norm of its gradient.

    Args:
        student: Heatmaps ``(N, K, H, W)``.
        mentor: Likewise.
        beta: What both are multiplied by.
        tau: The temperature.
    """
    leaf, values = student.flatten(2).clone().requires_grad_(), mentor.flatten(2)
    weight = torch.full((1, *leaf.shape[:2]), 1 / leaf[..., 0].numel())
    loss = kl_distill(beta * leaf, [beta * values], weight, torch.full_like(weight, tau))
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.item(), gradient.norm().item()


def near_peak(mentor: Tensor, beta: float) -> float:
    """Mean mass of ``softmax(beta * heatmap)`` in the 3x3 pixels around its maximum."""
    mass = (beta * mentor.flatten(2)).softmax(-1).view_as(mentor)
    blurred = torch.nn.functional.avg_pool2d(mass, 3, 1, 1, divisor_override=1)
    return blurred.flatten(2).gather(-1, mass.flatten(2).argmax(-1)[..., None]).mean().item()


def lines(student: Tensor, mentor: Tensor) -> Iterator[str]:
    """The table of two networks' heatmaps ``(N, K, H, W)``, line by line."""
    yield (
        f'{"beta":>5} {"tau":>4} {"loss":>10} {"/tau=1":>7} {"gradient":>10} {"/tau=1":>7} '
        f'{"near peak":>9}'
    )
    for beta in BETAS:
        base = measure(student, mentor, beta, 1.0)
        for tau in TAUS:
            loss, grad = measure(student, mentor, beta, tau)
            yield (
                f'{beta:>5} {tau:>4.0f} {loss:>10.3g} {loss / base[0]:>7.2f} {grad:>10.3g} '
                f'{grad / base[1]:>7.2f} {near_peak(mentor, beta / tau):>9.2f}'
            )


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm beta',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for who, name in (('student', 'mentor_small'), ('mentor', 'mentor_large')):
        parser.add_argument(
            f'--{who}',
            nargs=2,
            metavar=('CONFIG', 'CHECKPOINT'),
            default=(f'configs/demo/{name}.py', f'work_dirs/demo/{name}/epoch_12.pth'),
        )
    parser.add_argument('--batches', type=positive, default=2, help='of pictures (default 2)')
    return parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print the table."""
    args = parse_args(argv)
    both = (args.student, args.mentor)
    with redirect_stdout(sys.stderr):  # the log: the lines alone are the answer
        student, mentor = (heatmaps(config, file, args.batches) for config, file in both)
    for line in lines(student, mentor):
        print(line)
    return 0
