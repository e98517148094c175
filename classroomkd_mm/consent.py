"""What a lesson may do to the student: it may not outweigh the labels, nor contradict them.

Mentors that were trained on other data pull a student to their own conventions, and the weight of
the distillation loss that is right for one situation is a hundred times too much in another. So
both gradients are compared where they meet, at the output of the student's head: the distillation
loss's can be scaled down (``balance``) and freed of what points against the task's (``conflict``).

And lessons can become quieter towards the end of a run (``fade``).

All of it is a ratio: losses that are divided (accumulation) or multiplied (a gradient scaler) later
are compared all the same. Each process compares its own part of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from mmengine.logging import MessageHub
from torch import Tensor

from .functional import (
    agreement_odds,
    balance_gradient,
    gradient_agreement,
    gradient_norm,
    project_gradient,
    with_gradient,
)
from .parts import DistillLoss, Filter
from .structures import Lesson, Pull, Reading
from .tasks.heads import Output

Gradient = tuple[Tensor, ...]
EVERY = 10  # iterations: how often each mentor is looked at by itself
HALF = (torch.float16, torch.bfloat16)


def in_float32(output: Output) -> Output:
    """A head's output where a loss's gradient is no zero: a mean's are 1e-7, and less.

    Stock losses go on in float32 under autocast anyway. What is not in half precision stays itself.
    """
    if isinstance(output, Tensor):
        return _wide(output)
    return tuple(map(_wide, output)) if isinstance(output, tuple) else output


def _wide(part: Tensor) -> Tensor:
    return part.float() if part.dtype in HALF else part


def check_consent(distill_loss: DistillLoss, knowledge_filter: Filter) -> None:
    """Refuse to balance lessons with a task that weighs nothing: none would be given.

    Raises:
        ValueError: Naming both settings.
    """
    if distill_loss.balance is not None and knowledge_filter.task_weight == 0:
        raise ValueError(
            f'distill_loss.balance={distill_loss.balance} compares lessons with the task, which '
            'weighs nothing (knowledge_filter.task_weight=0): nothing would be learned; set '
            'distill_loss.balance=None'
        )


def consented(
    distill: Tensor, task: Tensor, output: Output, rule: DistillLoss
) -> tuple[Tensor, Pull | None]:
    """The distillation loss whose gradient at the output is what ``rule`` allows.

    Where the task's losses have no gradient at the output (nothing is labelled, or they are not
    made of it) it counts as 0: balance gives no lesson there, and projection takes nothing out.

    Args:
        distill: The distillation loss, a scalar.
        task: The sum of the task's losses, a scalar; its graph is kept.
        output: The head's, that both are functions of.
        rule: Whose ``balance``, ``balance_per``, ``balance_odds``, ``conflict`` and ``fade`` are
            asked.

    Returns:
        The loss, itself where none is set; else its value is scaled as the norm of its gradient
        is. And what was compared: None where there is no gradient at all.
    """
    parts = _taught(output)
    if not parts:
        return distill, None
    with torch.autocast(parts[0].device.type, enabled=False):
        lesson, own = _gradient(distill, parts), _gradient(task, parts)
        agreement = gradient_agreement(lesson, own)
        pull = _pull(lesson, own, agreement)
        if rule.balance is None and rule.conflict == 'keep' and not rule.fade:
            return distill, pull
        given = _allowed(lesson, own, agreement, rule)
        norm = gradient_norm(given)[0]
        share = torch.where(pull.lesson > 0, norm / pull.lesson, 1)
        return with_gradient(distill.detach() * share, parts, given), replace(pull, given=norm)


def contradictions(
    student: Reading, mentors: Sequence[Reading], lesson: Lesson, task: Tensor, output: Output
) -> Tensor | None:
    """How many of each mentor's lessons contradict the label, and of how many.

    A mentor by itself pulls along ``softmax(student) - softmax(mentor)``, KL's gradient at
    temperature 1: whatever the loss, this is what it would change in the student's answer.

    Args:
        student: Its reading, a function of ``output``.
        mentors: Theirs.
        lesson: Who is listened to.
        task: As in :func:`consented`.
        output: Likewise.

    Returns:
        ``(2, M)``; None in iterations in which nobody looks (all but every tenth).
    """
    parts = _taught(output)
    if not parts or MessageHub.get_current_instance().get_info('iter', 0) % EVERY:
        return None
    with torch.autocast(parts[0].device.type, enabled=False):
        own = _gradient(task, parts)
        counts = []
        for m, mentor in enumerate(mentors):
            pull = _gradient(_towards(student, mentor), parts)
            agreements = gradient_agreement(pull, own)
            taught = [each * lesson.active[m] for each in agreements]
            found = torch.stack(taught)
            counts.append(torch.stack([(found < 0).sum(), (found != 0).sum()]))
    return torch.stack(counts, dim=1)


def _towards(student: Reading, mentor: Reading) -> Tensor:
    """A scalar whose gradient is KL's at temperature 1, on what the mentor knows."""
    total = student.parts[0].new_zeros(())
    for z, theirs in zip(student.parts, mentor.parts):
        known = z if mentor.places is None else z.index_select(-1, mentor.places)
        way = known.detach().softmax(-1) - theirs.softmax(-1)
        total = total + (known * way).sum()
    return total


def _taught(output: Output) -> Gradient:
    """The head's outputs that have a gradient."""
    parts = (output,) if isinstance(output, Tensor) else tuple(output)
    return tuple(part for part in parts if part.requires_grad)


def _gradient(loss: Tensor, parts: Sequence[Tensor]) -> Gradient:
    """Of a loss at the output's parts; a loss that is a constant has none."""
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return tuple(map(torch.zeros_like, parts))
    return torch.autograd.grad(
        loss, parts, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def _allowed(lesson: Gradient, task: Gradient, agreement: Gradient, rule: DistillLoss) -> Gradient:
    """What is left of a lesson's gradient."""
    given = project_gradient(lesson, task)[0] if rule.conflict == 'project' else lesson
    if rule.balance is not None:
        limit: float | Tensor = rule.balance
        if rule.balance_odds:
            odds = agreement_odds(agreement, rule.balance_per)
            limit = limit * odds ** float(rule.balance_odds)
        given, _ = balance_gradient(given, task, limit, rule.balance_per)
    return tuple(each * (1 - run_share()) for each in given) if rule.fade else given


def run_share() -> float:
    """How much of the run is over, in [0, 1]: 0 where no runner trains, and nobody knows."""
    hub = MessageHub.get_current_instance()
    last = hub.get_info('max_iters')
    return hub.get_info('iter', 0) / last if last else 0.0


def _pull(lesson: Gradient, task: Gradient, agreement: Gradient) -> Pull:
    votes = torch.cat([each.flatten() for each in agreement])
    return Pull(
        task=gradient_norm(task)[0],
        lesson=gradient_norm(lesson)[0],
        given=None,
        against=(votes < 0).sum(),
        compared=(votes != 0).sum(),
    )
