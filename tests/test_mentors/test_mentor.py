"""A mentor sees the student's inputs in its own convention."""

import itertools

import cv2
import pytest
import torch
from mmengine.model import BaseModel
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
    one, other = (Convention.of(Net(3, each), 'bgr') for each in (student, mentor))
    view = InputView.between(one, other)
    adapted = view(seen_by(ours, image))
    want = seen_by(theirs, image)
    torch.testing.assert_close(adapted, want, atol=2e-4, rtol=1e-5)


GREY = dict(mean=[120.0], std=[60.0])


class Net(BaseModel):
    """Its first convolution says how many channels it takes, where its one mean does not."""

    def __init__(self, channels, preprocessor):
        super().__init__(PoseDataPreprocessor(**preprocessor))
        self.conv = torch.nn.Conv2d(channels, 1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.conv(inputs)


def seen_as(preprocessor, image):
    """By a preprocessor of MMPretrain's kind, which takes pictures of any channels."""
    pixels = image.flip(0) if preprocessor.get('bgr_to_rgb') else image
    mean, std = (torch.tensor(preprocessor[key]).view(-1, 1, 1) for key in ('mean', 'std'))
    return (pixels.float() - mean) / std


@pytest.mark.parametrize('theirs', [*CONVENTIONS[:2], dict(mean=[0.0], std=[255.0])])
def test_a_grey_picture_is_repeated_for_a_mentor_that_sees_colours(theirs):
    image = torch.randint(0, 256, (1, 6, 5), dtype=torch.uint8)
    view = InputView.between(
        Convention.of(Net(1, GREY), 'bgr'), Convention.of(Net(3, theirs), 'bgr')
    )
    got = view(seen_as(GREY, image)[None])
    want = seen_as(theirs, image.expand(3, -1, -1))[None]
    torch.testing.assert_close(got, want, atol=2e-4, rtol=1e-5)
    assert view.adaptations == ('grey to 3 channels', 'mean and std')
    assert view.moved(torch.Tensor.double)(torch.rand(1, 1, 2, 2)).dtype == torch.float64


@pytest.mark.parametrize('ours', [*CONVENTIONS[:2], dict(mean=[9.0], std=[50.0], bgr_to_rgb=True)])
def test_of_colours_a_grey_mentor_sees_what_opencv_makes_of_them(ours):
    image = torch.randint(0, 256, (3, 6, 5), dtype=torch.uint8)  # BGR, as files are read
    grey = torch.from_numpy(cv2.cvtColor(image.permute(1, 2, 0).numpy(), cv2.COLOR_BGR2GRAY))[None]
    view = InputView.between(Convention.of(Net(3, ours), 'bgr'), Convention.of(Net(1, GREY), 'bgr'))
    got = view(seen_as(ours, image)[None])
    torch.testing.assert_close(got, seen_as(GREY, grey)[None], atol=0.51 / 60, rtol=0)
    assert view.adaptations == ('colours to grey', 'mean and std') and got.shape == (1, 1, 6, 5)
    assert view.moved(torch.Tensor.double)(torch.rand(1, 3, 2, 2)).dtype == torch.float64


def test_other_channels_are_refused_by_name():
    ours, theirs = Convention.of(Net(3, CONVENTIONS[0]), 'bgr'), Convention.of(Net(4, GREY), 'bgr')
    wrong = "mentor 'm' takes pictures of 4 channels, the student of 3"
    with pytest.raises(ValueError, match=wrong):
        InputView.between(ours, theirs, who="mentor 'm'")
    same = Convention.of(Net(2, GREY), 'bgr')
    assert InputView.between(same, same).adaptations == ()


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


def test_a_failure_in_a_forward_names_mentor_config_and_inputs(demo_config, tmp_path):
    path = tmp_path / 'small.py'
    demo_config('mentor_small').dump(str(path))
    classroom = demo_config('classroom').model
    classroom.mentors = [dict(name='m', config=str(path), checkpoint=None)]
    (mentor,) = MODELS.build(classroom).mentors
    wrong = rf"mentor 'm' \(TopdownPoseEstimator, \w+, \w+, {path}\) fails on inputs of shape "
    with pytest.raises(RuntimeError, match=wrong + r'\(2, 4, 64, 48\): RuntimeError: .*4 channels'):
        mentor._forward(torch.rand(2, 4, 64, 48))

    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    mentor.network.forward = full
    with pytest.raises(torch.cuda.OutOfMemoryError, match=wrong + '.*: CUDA out of memory'):
        mentor(torch.rand(2, 3, 64, 48))
