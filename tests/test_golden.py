"""The authors' numbers (batch granularity), through the public config interface.

Student and mentors are ImageClassifiers whose backbone returns stored logits.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn

from classroomkd_mm.registry import MODELS

SCOPE = 'mmpretrain'
GOLDEN = Path(__file__).parents[2] / 'shared/golden/official_batch.npz'
BATCH = dict(type='KnowledgeFilter', granularity='batch', decimals=2)
UNIFORM = dict(type='UniformFilter', weight=1.0)
CASES = {
    'a_classroom_1t5p': (BATCH, dict(type='AdaptiveMentoring', alpha=12)),
    'a_1t0p': (BATCH, dict(type='AdaptiveMentoring', alpha=12)),
    'a_no_mentor': (BATCH, dict(type='FixedMentoring', tau=1)),
    'a_no_ask': (UNIFORM, dict(type='FixedMentoring', tau=1)),
}


@MODELS.register_module(force=True)
class StoredLogits(nn.Module):
    """A backbone that gives the same logits whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, inputs):
        return (self.logits,)


def classifier(logits):
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor', mean=[0.0], std=[1.0]),
        backbone=dict(type='classroomkd_mm.StoredLogits', logits=logits.tolist()),
        head=dict(type='mmpretrain.ClsHead'),
    )


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN.name} is not beside the checkout')
@pytest.mark.parametrize('case', CASES)
def test_loss_and_gradient_equal_the_authors_code(case):
    data = np.load(GOLDEN)
    knowledge_filter, mentoring = CASES[case]
    model = MODELS.build(
        dict(
            type='classroomkd_mm.ClassroomDistiller',
            student=classifier(data[f'{case}.student']),
            mentors=[
                dict(name=f'm{i}', config=classifier(logits), checkpoint=None)
                for i, logits in enumerate(data[f'{case}.mentors'])
            ],
            scorer=dict(type='TrueClassScorer'),
            knowledge_filter=knowledge_filter,
            mentoring=mentoring,
            distill_loss=dict(type='KLDistillLoss'),
        )
    ).train()
    samples = [DataSample().set_gt_label(int(label)) for label in data[f'{case}.y']]
    loss, _ = model.parse_losses(model(torch.zeros(len(samples), 1, 2, 2), samples, mode='loss'))
    loss.backward()
    assert loss.item() == pytest.approx(float(data[f'{case}.loss']), rel=1e-5)
    want = torch.tensor(data[f'{case}.grad'])
    assert (model.backbone.logits.grad - want).abs().max() <= 1e-5 * want.abs().max()
