"""A mentor sees the student's inputs in its own convention."""

import itertools

import pytest
import torch
from mmpose.models import PoseDataPreprocessor
from mmpose.structures import PoseDataSample
from torch import nn

from classroomkd_mm.mentors import Mentor

CONVENTIONS = [
    dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395]),
    dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], bgr_to_rgb=True),
    dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], bgr_to_rgb=True),
    dict(),
]


def seen_by(preprocessor, image):
    return preprocessor(dict(inputs=[image], data_samples=[PoseDataSample()]))['inputs']


@pytest.mark.parametrize('student, mentor', itertools.product(CONVENTIONS, CONVENTIONS))
def test_every_pairing_of_normalisations_is_exact(student, mentor):
    image = torch.randint(0, 256, (3, 6, 5), dtype=torch.uint8)
    ours, theirs = PoseDataPreprocessor(**student), PoseDataPreprocessor(**mentor)
    network = nn.Module()
    network.data_preprocessor = theirs
    adapted = Mentor('m', network, ours).adapt(seen_by(ours, image))
    want = seen_by(theirs, image)
    torch.testing.assert_close(adapted, want, atol=2e-4, rtol=1e-5)
