"""The control of distillation: a head's own loss with the lesson's formula."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from classroomkd_mm.parts import LabelKLLoss
from classroomkd_mm.registry import MODELS


@pytest.fixture(autouse=True)
def pose():
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


def maps(seed):
    return torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(seed))


WEIGHTS = torch.tensor([[1.0, 0.0], [0.5, 2.0], [0.0, 0.0]])


@pytest.mark.parametrize('weights', [WEIGHTS, None])
def test_it_is_the_mse_and_a_plain_loops_kl(weights):
    output, target = maps(0).requires_grad_(), maps(1)
    loss = LabelKLLoss(loss_weight=0.3, beta=7.0)(output, target, weights)
    own = MODELS.build(dict(type='KeypointMSELoss', use_target_weight=True))
    given = torch.ones(3, 2) if weights is None else weights
    want = own(output, target, given)
    for n in range(3):
        for k in range(2):
            p, q = (torch.softmax(7.0 * each[n, k].flatten(), 0) for each in (target, output))
            want = want + 0.3 / 6 * given[n, k] * sum(a * (a.log() - b.log()) for a, b in zip(p, q))
    torch.testing.assert_close(loss, want)
    gradients = [torch.autograd.grad(each, output, retain_graph=True)[0] for each in (loss, want)]
    torch.testing.assert_close(*gradients)


def test_it_is_linear_in_the_weights_and_nothing_where_the_label_is_met():
    build = LabelKLLoss(task=dict(type='KeypointMSELoss', use_target_weight=True))
    each = [build(maps(0), maps(1), w) for w in (WEIGHTS, 2 * WEIGHTS, 0 * WEIGHTS)]
    torch.testing.assert_close(each[1], 2 * each[0])
    assert each[2] == 0
    assert build(maps(0), maps(0), WEIGHTS).abs() < 1e-6


def test_a_classroom_of_a_student_with_it_trains_and_leaves_a_stock_student(demo_config, train):
    cfg = demo_config('classroom')
    cfg.model.student.head.loss = dict(type='classroomkd_mm.LabelKLLoss', loss_weight=0.2)
    runner = train(cfg)
    own = Config.fromfile(f'{cfg.work_dir}/student.py')
    assert own.model.head.loss == dict(type='mmpose.KeypointMSELoss', use_target_weight=True)
    assert own.custom_imports is None or 'classroomkd_mm' not in own.custom_imports['imports']
    stock = MODELS.build(own.model)
    stock.load_state_dict(runner.model.student.state_dict())


@pytest.mark.parametrize(
    'given, message',
    [
        (dict(loss_weight=-1.0), 'head.loss.loss_weight=-1.0'),
        (dict(beta=0.0), 'head.loss.beta=0.0 is not positive'),
        (dict(beta='10'), "head.loss.beta='10' must be a finite number"),
        (dict(betta=1.0), 'betta'),
    ],
)
def test_a_wrong_setting_is_named(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        LabelKLLoss(**given)
