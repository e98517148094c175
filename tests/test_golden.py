"""The authors' numbers (batch granularity), through the public classes on logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from classroomkd_mm import (
    AdaptiveMentoring,
    FixedMentoring,
    KLDistillLoss,
    KnowledgeFilter,
    UniformFilter,
)
from classroomkd_mm.scorers import Scores

GOLDEN = Path(__file__).parents[2] / 'shared/golden/official_batch.npz'
BATCH = dict(granularity='batch', decimals=2)
CASES = {
    'a_classroom_1t5p': (KnowledgeFilter(**BATCH), AdaptiveMentoring(12)),
    'a_1t0p': (KnowledgeFilter(**BATCH), AdaptiveMentoring(12)),
    'a_no_mentor': (KnowledgeFilter(**BATCH), FixedMentoring(1)),
    'a_no_ask': (UniformFilter(weight=1.0), FixedMentoring(1)),
}


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN.name} is not beside the checkout')
@pytest.mark.parametrize('case', CASES)
def test_loss_and_gradient_equal_the_authors_code(case):
    data = np.load(GOLDEN)
    y = torch.tensor(data[f'{case}.y'])
    student = torch.tensor(data[f'{case}.student']).requires_grad_()
    mentors = torch.tensor(data[f'{case}.mentors'])
    task = F.cross_entropy(student, y, reduction='none')
    members = torch.cat([student.detach()[None], mentors])
    true = members.softmax(-1).gather(-1, y.expand(len(members), -1)[..., None])
    labelled = torch.ones(len(y), 1, dtype=torch.bool)
    knowledge_filter, mentoring = CASES[case]
    lesson = knowledge_filter(Scores(true, labelled, geometric=True))
    loss = (lesson.task_weight * task).mean() + KLDistillLoss()(
        student[:, None], list(mentors[:, :, None]), lesson, mentoring(lesson), labelled
    )
    loss.backward()
    assert loss.item() == pytest.approx(float(data[f'{case}.loss']), rel=1e-5)
    want = torch.tensor(data[f'{case}.grad'])
    assert (student.grad - want).abs().max() <= 1e-5 * want.abs().max()
