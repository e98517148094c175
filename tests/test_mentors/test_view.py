"""What a network's inputs look like, and one network's as another wants them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from classroomkd_mm.functional import resample_heatmaps
from classroomkd_mm.mentors.view import Convention, InputView, channels_of
from classroomkd_mm.structures import OwnCrop, Resize

RGB = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class Network(nn.Module):
    """With a preprocessor that has these attributes, and layers."""

    def __init__(self, *layers, **preprocessor):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.data_preprocessor = SimpleNamespace(**preprocessor)


def column(*values):
    return torch.tensor(values).view(-1, 1, 1)


def convention(order='bgr', mean=RGB[0], std=RGB[1], channels=3):
    return Convention(torch.tensor(mean), torch.tensor(std), order, channels)


def pixels(channels=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    return 255 * torch.rand(2, channels, 6, 4, generator=g)


def normalised(image, ours):
    return (image - ours.mean.view(-1, 1, 1)) / ours.std.view(-1, 1, 1)


# What a network takes


@pytest.mark.parametrize(
    'network, channels',
    [
        (Network(nn.Conv2d(4, 1, 1), mean=column(1.0, 2.0, 3.0)), 3),
        (Network(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 5, 1), mean=column(1.0, 2.0)), 2),
        (Network(nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Conv2d(1, 5, 1), mean=column(0.0)), 4),
        (Network(nn.Conv2d(1, 5, 1)), 1),
        (Network(nn.Conv2d(2, 5, 1), mean=None), 2),
        (Network(nn.Linear(2, 5)), None),
    ],
)
def test_channels_are_those_of_the_means_or_of_the_first_convolution(network, channels):
    assert channels_of(network) == channels


def test_a_convention_is_read_from_the_preprocessor():
    mean, std = (nn.Parameter(column(*values).double()) for values in RGB)
    found = Convention.of(Network(mean=mean, std=std), 'rgb')
    assert found.mean.dtype is found.std.dtype is torch.float32
    assert not found.mean.requires_grad and not found.std.requires_grad
    torch.testing.assert_close(found.mean, torch.tensor(RGB[0]))
    torch.testing.assert_close(found.std, torch.tensor(RGB[1]))
    assert (found.order, found.channels) == ('rgb', 3)
    plain = Convention.of(Network(nn.Conv2d(4, 1, 1)), 'bgr')
    assert (plain.mean.tolist(), plain.std.tolist()) == ([0.0], [1.0])
    assert (plain.order, plain.channels) == ('bgr', 4)


@pytest.mark.parametrize('flag', ['to_rgb', '_channel_conversion'])
@pytest.mark.parametrize(
    'flips, arrives, unknown, order',
    [
        (False, 'rgb', None, 'rgb'),
        (True, 'rgb', None, 'bgr'),
        (True, 'bgr', None, 'rgb'),
        (False, None, None, 'bgr'),
        (False, None, 'rgb', 'rgb'),
        (True, None, 'rgb', 'rgb'),  # what is exchanged is taken to have been BGR
    ],
)
def test_the_order_is_what_arrives_exchanged_where_the_preprocessor_does(
    flag, flips, arrives, unknown, order
):
    settings = {} if unknown is None else dict(unknown=unknown)
    assert Convention.of(Network(**{flag: flips}), arrives, **settings).order == order


def test_mmpretrains_word_is_heard_first():
    network = Network(to_rgb=False, _channel_conversion=True)
    assert Convention.of(network, 'bgr').order == 'bgr'


def test_pictures_before_they_are_inputs_are_plain_pixels():
    before = convention('rgb').before('rgb')
    assert before.mean.tolist() == [0.0] * 3 and before.std.tolist() == [1.0] * 3
    assert (before.order, before.channels) == ('rgb', 3)
    assert convention('rgb').before(None).order == 'bgr'


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_grey_is_the_luma_of_pixels(order):
    ours, image = convention(order), pixels()
    factors, grey = ours.grey()
    red, green, blue = image.unbind(1) if order == 'rgb' else image.flip(1).unbind(1)
    want = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
    got = (normalised(image, ours) * factors).sum(1, keepdim=True)
    torch.testing.assert_close(got + grey.mean, want, rtol=1e-5, atol=1e-3)
    assert factors.shape == (3, 1, 1) and (grey.mean.shape, grey.channels) == ((1,), 1)
    assert grey.std.tolist() == [1.0] and grey.order == order


# One as another


@pytest.mark.parametrize('ours, theirs', [('bgr', 'bgr'), ('bgr', 'rgb'), ('rgb', 'bgr')])
def test_colours_are_exchanged_and_normalised_anew(ours, theirs):
    student = convention(ours, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    mentor, image = convention(theirs), pixels()
    view = InputView.between(student, mentor)
    want = normalised(image if ours == theirs else image.flip(1), mentor)
    torch.testing.assert_close(view(normalised(image, student)), want, rtol=1e-4, atol=1e-4)
    words = () if ours == theirs else (f'channels to {theirs.upper()}',)
    assert view.adaptations == (*words, 'mean and std')
    assert (view.flip, view.same, view.luma, view.repeat) == (ours != theirs, False, None, 1)
    assert view.gain.shape == view.bias.shape == (3, 1, 1)


@pytest.mark.parametrize('theirs', ['bgr', 'rgb'])
def test_what_is_the_same_is_not_touched(theirs):
    """Another order of the same means in that order: the channels alone are exchanged."""
    mean, std = (torch.tensor(values) for values in RGB)
    mentor = Convention(mean, std, theirs, None)
    student = mentor if theirs == 'bgr' else Convention(mean.flip(0), std.flip(0), 'bgr')
    view, inputs = InputView.between(student, mentor), pixels()
    assert view.same
    if theirs == 'bgr':
        assert view(inputs) is inputs and view.adaptations == ()
    else:
        assert torch.equal(view(inputs), inputs.flip(1))
        assert view.adaptations == ('channels to RGB',)
    for other in (replace(mentor, mean=mean + 1), replace(mentor, std=std + 1)):
        assert not InputView.between(student, other).same


def test_one_mean_that_differs_in_a_single_channel_counts():
    ours = convention()
    for field in ('mean', 'std'):
        theirs = getattr(ours, field).clone()
        theirs[1] += 1
        assert not InputView.between(ours, replace(ours, **{field: theirs})).same


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_grey_and_colours_are_made_of_each_other(order):
    colours, grey = convention(order), convention('bgr', (120.0,), (60.0,), 1)
    size = Resize((6, 4))
    luma = InputView.between(colours, grey, size)
    assert luma.adaptations == ('colours to grey', 'mean and std')
    assert (luma.flip, luma.repeat, luma.resize) == (False, 1, size)
    image = pixels()
    red, green, blue = image.unbind(1) if order == 'rgb' else image.flip(1).unbind(1)
    want = normalised((0.299 * red + 0.587 * green + 0.114 * blue)[:, None], grey)
    torch.testing.assert_close(luma(normalised(image, colours)), want, rtol=1e-4, atol=1e-4)
    three = InputView.between(grey, colours, size)
    assert three.adaptations == ('grey to 3 channels', 'mean and std')
    assert (three.flip, three.repeat, three.resize, three.luma) == (False, 3, size, None)
    image = pixels(1)
    want = normalised(image.expand(-1, 3, -1, -1), colours)
    torch.testing.assert_close(three(normalised(image, grey)), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('ours, theirs', [(3, 4), (1, 4), (3, 2), (2, 1), (4, 3)])
def test_other_channels_are_refused_in_full(ours, theirs):
    student, mentor = (convention(channels=count) for count in (ours, theirs))
    words = (
        f'^%s takes pictures of {theirs} channels, the student of {ours}: only 1 '
        r'\(grey\) and 3 \(colours\) are made of each other$'
    )
    with pytest.raises(ValueError, match=words % 'the mentor'):
        InputView.between(student, mentor)
    with pytest.raises(ValueError, match=words % "mentor 'm'"):
        InputView.between(student, mentor, who="mentor 'm'")


@pytest.mark.parametrize('ours, theirs', [(None, 4), (3, None), (2, 2), (1, 1)])
def test_channels_that_are_the_same_or_not_known_are_let_through(ours, theirs):
    view = InputView.between(convention(channels=ours), convention(channels=theirs))
    assert view.same and view.adaptations == ()


def test_a_view_moves_with_all_its_tensors():
    colours, grey = convention(), convention('bgr', (120.0,), (60.0,), 1)
    for view in (InputView.between(colours, grey), InputView.between(grey, colours)):
        moved = view.moved(torch.Tensor.double)
        assert moved.gain.dtype is moved.bias.dtype is torch.float64
        assert torch.equal(moved.gain, view.gain.double())
        assert torch.equal(moved.bias, view.bias.double())
        assert moved.luma is None if view.luma is None else torch.equal(moved.luma, view.luma)
        assert view.luma is None or moved.luma.dtype is torch.float64


def test_a_mentor_s_numbers_come_to_the_students_device():
    student = replace(convention(), mean=torch.ones(3).to('meta'), std=torch.ones(3).to('meta'))
    # There nothing can be read: the look whether anything changes is the first that fails.
    with pytest.raises((RuntimeError, NotImplementedError), match='(?i)item'):
        InputView.between(student, convention())


# Sizes


def shown(resize, ratio=None, **more):
    ours = convention()
    return InputView.between(ours, ours, Resize(resize, ratio, **more))


@pytest.mark.parametrize('size', [(3, 2), (12, 8)])
def test_pictures_whose_coordinates_nobody_needs_are_interpolated(size):
    inputs = pixels()
    want = F.interpolate(inputs, size, mode='bilinear', antialias=True)
    assert torch.equal(shown(size)(inputs), want)


@pytest.mark.parametrize('letterbox, padding', [(False, 'border'), (True, 'zeros')])
def test_pictures_of_poses_are_carried_by_their_ratio(letterbox, padding):
    inputs, size, ratio = pixels(), (8, 9), (0.7, 1.1)
    got = shown(size, ratio, letterbox=letterbox)(inputs)
    want = resample_heatmaps(inputs, (1.0, 1.0), size, ratio, padding=padding)
    assert torch.equal(got, want) and got.shape == (2, 3, 8, 9)


def test_a_crop_of_its_own_has_its_size():
    ours, inputs = convention(), pixels()
    assert InputView.between(ours, ours, OwnCrop((8, 9), False))(inputs) is inputs
