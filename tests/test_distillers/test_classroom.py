"""The distiller through the real runner, data set, metric and checkpoint files."""

import copy
import json

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmpose.testing import get_packed_inputs

from classroomkd_mm.registry import MODELS


def batch(samples=4, keypoints=17):
    """Packed samples of 48x64 crops with everything that an OKSScorer asks for."""
    data = get_packed_inputs(
        samples,
        num_instances=1,
        num_keypoints=keypoints,
        img_shape=(64, 48),
        input_size=(48, 64),
        heatmap_size=(24, 32),
        with_heatmap=True,
    )
    for sample in data['data_samples']:
        sample.set_metainfo(
            dict(
                dataset_name='coco',
                raw_ann_info=dict(area=900.0),
                input_size=(48, 64),
                input_scale=np.array([48.0, 64.0]),
                input_center=np.array([24.0, 32.0]),
            )
        )
    return data


@pytest.fixture
def build(demo_config):
    """``build(**overrides)``: the demo's classroom with random weights."""

    def make(**overrides):
        cfg = demo_config('classroom').model
        for key, value in overrides.items():
            cfg[key] = value  # update() would merge
        torch.manual_seed(0)
        model = MODELS.build(cfg)
        model.init_weights()
        return model.train()

    return make


def lesson(model, data):
    return model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss')


def test_to_optimizers_and_checkpoints_the_distiller_is_the_student(build, demo_config):
    model = build()
    stock = ROOT_MODELS.build(demo_config('alone').model)
    assert list(model.state_dict()) == list(stock.state_dict())
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in stock.named_parameters()]
    stock.load_state_dict(model.state_dict(), strict=True)
    inputs = torch.rand(2, 3, 64, 48)
    model.eval(), stock.eval()
    torch.testing.assert_close(model(inputs), stock(inputs, None))


def test_mentors_stay_in_eval_without_gradients_and_copies_share_them(build):
    model = build()
    clone = copy.deepcopy(model)
    assert clone.mentors is model.mentors
    assert clone.student.backbone is clone.backbone and clone.backbone is not model.backbone
    assert not any(m.network.training for m in model.mentors)
    sum(v for k, v in lesson(model, batch()).items() if 'loss' in k).backward()
    assert all(p.grad is None for m in model.mentors for p in m.network.parameters())
    assert all(p.grad is not None for p in model.parameters())
    assert all(
        p.dtype == torch.float64 for m in model.double().mentors for p in m.network.parameters()
    )


def test_without_mentors_it_is_the_student_alone(build, demo_config):
    model = build(mentors=[], knowledge_filter=dict(type='UniformFilter'))
    stock = ROOT_MODELS.build(demo_config('alone').model).train()
    stock.load_state_dict(model.state_dict())
    data = model.data_preprocessor(batch(), True)
    got = model(**data, mode='loss')
    assert got['loss_distill'].item() == 0
    torch.testing.assert_close(got['loss_task_kpt'], stock(**data, mode='loss')['loss_kpt'])


def test_the_task_loss_is_weighted_per_sample(build):
    model = build(knowledge_filter=dict(type='KnowledgeFilter', task_bias=0.5))
    data = model.data_preprocessor(batch(), True)
    weights = [s.gt_instance_labels.keypoint_weights.clone() for s in data['data_samples']]
    feats = model.student.extract_feat(data['inputs'])
    output = model.student.head(feats)
    factor = torch.tensor([0.0, 1.0, 0.5, 2.0])
    got = model.task.task_loss(model.student, feats, output, data['data_samples'], factor)
    want = (
        sum(
            f
            * model.student.head.loss_module(
                output[i : i + 1], s.gt_fields.heatmaps[None], s.gt_instance_labels.keypoint_weights
            )
            for i, (f, s) in enumerate(zip(factor, data['data_samples']))
        )
        / 4
    )
    torch.testing.assert_close(got['loss_kpt'], want)
    for before, sample in zip(weights, data['data_samples']):
        torch.testing.assert_close(before, sample.gt_instance_labels.keypoint_weights)
    assert 'forward' not in vars(model.student.head)


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_a_nan_mentor_is_muted_and_training_goes_on(build, granularity):
    model = build(knowledge_filter=dict(type='KnowledgeFilter', granularity=granularity))
    next(model.mentors[0].network.parameters()).data.fill_(float('nan'))
    losses = lesson(model, batch())
    assert losses['classroom/large/muted'] == 1 and losses['classroom/large/active'] == 0
    assert losses['classroom/small/muted'] == 0
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_batch_without_labels_gives_no_lesson_and_no_nan(build):
    data = batch()
    for sample in data['data_samples']:
        sample.gt_instance_labels.keypoint_weights.zero_()
    losses = lesson(build(), data)
    assert losses['loss_distill'].item() == 0 and losses['classroom/large/active'] == 0


def test_two_halves_of_a_batch_give_the_gradient_of_the_whole(build):
    model = build().eval()
    for mentor in model.mentors:
        mentor.network.eval()
    data = batch(4)

    def gradient(part):
        model.zero_grad()
        model.parse_losses(
            lesson(
                model, dict(inputs=data['inputs'][part], data_samples=data['data_samples'][part])
            )
        )[0].backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    halves = (gradient(slice(0, 2)) + gradient(slice(2, 4))) / 2
    torch.testing.assert_close(halves, gradient(slice(0, 4)), rtol=1e-4, atol=1e-7)


def test_every_checkpoint_loads_into_stock_mmpose(demo_config, train, people):
    from mmpose.apis import inference_topdown, init_model

    cfg = demo_config('classroom')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='EMAHook')]
    runner = train(cfg)
    path = f'{cfg.work_dir}/epoch_2.pth'
    stock_cfg = demo_config('alone')
    stock = init_model(stock_cfg, path, device='cpu')
    saved = torch.load(path, weights_only=False)
    for name in ('state_dict', 'ema_state_dict'):
        weights = {k.removeprefix('module.'): v for k, v in saved[name].items() if k != 'steps'}
        assert set(weights) == set(stock.state_dict()), name
        assert ROOT_MODELS.build(stock_cfg.model).load_state_dict(weights, strict=True)
    image = str(people / 'test/000001.png')
    want = inference_topdown(stock, image)[0].pred_instances.keypoints
    model = runner.model.eval()
    model.load_state_dict(saved['state_dict'])
    stock.test_step, model.cfg = model.test_step, stock_cfg
    got = inference_topdown(stock, image)[0].pred_instances.keypoints
    np.testing.assert_array_equal(got, want)


def test_a_killed_run_resumes_to_the_same_bits(demo_config, train):
    cfg = demo_config('classroom')
    # MMEngine seeds shuffling by epoch but does not save the state that augmentation draws from.
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [t for t in pipeline if 'Random' not in t.type]
    whole = train(cfg).model.state_dict()
    cfg.work_dir += '_killed'
    cut = copy.deepcopy(cfg)
    cut.default_hooks.checkpoint.interval = 1

    from mmengine.hooks import Hook

    class Kill(Hook):
        def before_train_epoch(self, runner):
            if runner.epoch == 1:
                raise KeyboardInterrupt

    from mmengine.runner import Runner

    cut.experiment_name = 'cut'
    runner = Runner.from_cfg(cut)
    runner.register_hook(Kill())
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    resumed = train(cfg, resume=True).model.state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    with open(f'{cfg.work_dir}/classroom.jsonl') as file:
        assert [json.loads(line)['epoch'] for line in file] == [1, 2]


def test_a_stock_checkpoint_is_the_students_load_from(demo_config, train):
    alone = demo_config('alone')
    train(alone)
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    cfg.optim_wrapper.optimizer.lr = 0.0
    loaded = train(cfg, load_from=f'{alone.work_dir}/epoch_2.pth').model
    want = torch.load(f'{alone.work_dir}/epoch_2.pth', weights_only=False)['state_dict']
    assert all(torch.equal(want[n], p) for n, p in loaded.named_parameters())


def test_a_checkpoint_of_another_network_is_an_error(build):
    model = build()
    weights = model.state_dict()
    weights['head.extra'] = weights.pop('head.final_layer.bias')
    with pytest.raises(RuntimeError, match=r"1 missing keys \['head.final_layer.bias'\], 1 unexp"):
        model.load_state_dict(weights)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(student=dict(head=dict(decoder=None))), 'student needs a heatmap head'),
        (dict(mentors=[dict(name='m', config={})]), 'checkpoint=None for random weights'),
        (
            dict(knowledge_filter=dict(type='KnowledgeFilter', granularity='epoch')),
            "granularity='epoch' is unknown",
        ),
        (dict(scorer=dict(type='PCKScorer', norm='arm')), "scorer.norm='arm' is unknown"),
        (dict(mentoring=dict(type='AdaptiveMentoring', alpha=-1)), 'alpha=-1 is negative'),
    ],
)
def test_wrong_settings_are_refused_when_the_model_is_built(demo_config, change, message):
    from mmengine.config import Config

    cfg = Config(dict(model=demo_config('classroom').model))
    if 'student' in change:
        cfg.merge_from_dict(dict(model=change))
    else:
        cfg.model.update(change)
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg.model)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(out_channels=16), "mentor 'm' has 16 keypoints, the student 17"),
        (
            dict(
                decoder=dict(
                    type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(32, 32), sigma=1
                )
            ),
            'input size 64x64, the student 48x64: the aspect ratios cannot be mapped',
        ),
    ],
)
def test_mentors_that_cannot_be_mapped_are_refused(demo_config, change, message):
    cfg = demo_config('classroom').model
    network = copy.deepcopy(demo_config('mentor_small').model)
    network.head.update(change)
    cfg.mentors = [dict(name='m', config=network.to_dict(), checkpoint=None)]
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)


def test_a_data_set_without_areas_is_refused_by_oks(build):
    data = batch()
    for sample in data['data_samples']:
        sample.set_metainfo(dict(raw_ann_info={}))
    with pytest.raises(ValueError, match="no 'area' in its annotations"):
        lesson(build(), data)


def test_a_data_set_without_sigmas_is_refused_by_oks(build):
    model = build()
    model.task.dataset_meta = dict(dataset_name='unknown')
    with pytest.raises(ValueError, match='needs 17 sigmas and the data set has 0'):
        lesson(model, batch())


def test_a_checkpoint_of_a_real_run_is_a_mentor(demo_config, train):
    small = demo_config('mentor_small')
    trained = train(small).model
    cfg = demo_config('classroom')
    cfg.model.mentors = [
        dict(name='m', config=small.model.to_dict(), checkpoint=f'{small.work_dir}/epoch_2.pth')
    ]
    mentor = MODELS.build(cfg.model).mentors[0].network
    weights = trained.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in mentor.state_dict().items())
