"""A mentor sees the student's inputs in its own convention."""

import itertools

import pytest
import torch
from mmpose.models import PoseDataPreprocessor
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample

from classroomkd_mm.mentors import Convention, InputView, MentorSettings
from classroomkd_mm.registry import MODELS

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
    view = InputView.between(Convention.of(ours, 'bgr'), Convention.of(theirs, 'bgr'))
    adapted = view(seen_by(ours, image))
    want = seen_by(theirs, image)
    torch.testing.assert_close(adapted, want, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize('config', ['configs/none.py', 'mmpose::body_2d_keypoint/none.py'])
def test_a_config_that_is_not_there_names_the_mentor(config):
    settings = dict(name='m', config=config, checkpoint=None)
    with pytest.raises(FileNotFoundError, match=f"mentor 'm': config='{config}' does not exist"):
        MentorSettings.of(settings, 0).build()


def test_a_mentor_of_another_input_size_predicts_in_the_picture(demo_config, people):
    """Its own head decodes at its own input size; the crop is stated at the student's."""
    student, cfg = demo_config('alone'), demo_config('mentor_small').model.to_dict()
    cfg['head']['decoder'].update(input_size=(96, 128), heatmap_size=(24, 32))
    student.val_dataloader.dataset.pipeline[-1].pack_transformed = True
    dataset = DATASETS.build(student.val_dataloader.dataset)
    classroom = demo_config('classroom').model
    classroom.mentors = [dict(name='m', config=cfg, checkpoint=None)]
    ((mentor, bridge),) = MODELS.build(classroom).members
    for i in range(3):
        sample = dataset[i]['data_samples']
        truth = torch.as_tensor(sample.gt_instances.transformed_keypoints[0])
        inside = ((truth > 4) & (truth < torch.tensor([44.0, 60.0]))).all(-1)
        peaks = gaussian_heatmaps(truth * 2 / 4, 32, 24)  # own input is twice as large
        mentor.network.head.forward = lambda feats: peaks[None]
        shown = mentor.view(torch.zeros(1, 3, 64, 48))
        predicted = bridge.predict(mentor.network, shown, [sample])[0].pred_instances
        error = abs(predicted.keypoints[0] - sample.gt_instances.keypoints[0])[inside]
        # A heatmap pixel is about 4.5 picture pixels; MMPose's decoder is right to a quarter.
        assert error.max() < 1.5, error
        assert sample.metainfo['input_size'] == (48, 64)


def gaussian_heatmaps(points, height, width):
    x = torch.exp(-((torch.arange(width) - points[:, :1]) ** 2) / 8)
    y = torch.exp(-((torch.arange(height) - points[:, 1:]) ** 2) / 8)
    return y[:, :, None] * x[:, None]
