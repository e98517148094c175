"""The distiller through the real runner, data set, metric and checkpoint files."""

import copy
import json
import logging
from unittest import mock

import numpy as np
import pytest
import torch
from fresh import ranks
from mmengine.logging import MMLogger
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import MODELS as POSE_MODELS
from mmpose.testing import get_packed_inputs

from classroomkd_mm.mentors.checkpoint import CAN_ALLOW
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


def test_mentors_stay_in_eval_without_gradients_and_copies_hold_none(build):
    model = build()
    clone = copy.deepcopy(model)
    assert not clone.mentors and len(model.mentors) == 3
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
    got = model.task.task_loss(model, feats, output, data['data_samples'], factor)
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


def test_of_a_batch_without_labels_all_teach_all_keypoints(build):
    data = batch()
    for sample in data['data_samples']:
        sample.gt_instance_labels.keypoint_weights.zero_()
    model = build().eval()
    losses = lesson(model, data)
    assert losses['loss_kpt' if 'loss_kpt' in losses else 'loss_task_kpt'].item() == 0
    assert losses['classroom/large/active'] == losses['classroom/small/active'] == 1
    uniform = build(knowledge_filter=dict(type='UniformFilter'), mentoring=None).eval()
    torch.testing.assert_close(losses['loss_distill'], lesson(uniform, data)['loss_distill'])
    assert losses['loss_distill'] > 0
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('blank', [[0], [2], [0, 1, 2, 3]])
def test_pictures_alone_among_people_with_labels(build, blank):
    """As people whose keypoints are all unlabelled, but they have no part in the task's mean."""
    zeroed, bare = batch(), batch()
    for i in blank:
        zeroed['data_samples'][i].gt_instance_labels.keypoint_weights.zero_()
        sample = bare['data_samples'][i]
        bare['data_samples'][i] = type(sample)(metainfo=sample.metainfo)
    model = build().eval()
    want, got = lesson(model, zeroed), lesson(model, bare)
    torch.testing.assert_close(got['loss_distill'], want['loss_distill'])
    assert model.record.line()['unlabelled'] == len(blank)
    left = 4 - len(blank)
    assert left == 0 or got['loss_distill'] > 0
    torch.testing.assert_close(got['loss_task_kpt'] * left, want['loss_task_kpt'] * 4)


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
    inputs = torch.rand(2, 3, 64, 48)
    ema = next(hook.ema_model for hook in runner.hooks if hasattr(hook, 'ema_model')).module
    for name in ('ema_state_dict', 'state_dict'):  # MMEngine swaps them: the latter averages
        weights = {k.removeprefix('module.'): v for k, v in saved[name].items() if k != 'steps'}
        assert set(weights) == set(stock.state_dict()), name
        averaged = ROOT_MODELS.build(stock_cfg.model)
        averaged.load_state_dict(weights, strict=True)
    torch.testing.assert_close(averaged.eval()(inputs, None), ema.eval()(inputs))
    image = str(people / 'test/000001.png')
    want = inference_topdown(stock, image)[0].pred_instances.keypoints
    model = runner.model.eval()
    model.load_state_dict(saved['state_dict'])
    stock.test_step, model.cfg = model.test_step, stock_cfg
    got = inference_topdown(stock, image)[0].pred_instances.keypoints
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize('fixed', [False, True])
def test_stock_inferencer_reads_a_classroom_checkpoint(demo_config, train, people, fixed):
    from mmpose.apis import MMPoseInferencer, inference_topdown, init_model

    cfg = demo_config('classroom')
    if fixed:
        cfg.train_dataloader.dataset = dict(
            type='classroomkd_mm.FixedViews', views=2, dataset=cfg.train_dataloader.dataset
        )
    train(cfg)
    assert cfg.train_dataloader.dataset.type.endswith('FixedViews') == fixed
    stock_cfg, path = demo_config('alone'), f'{cfg.work_dir}/epoch_2.pth'
    with open(f'{cfg.work_dir}/student.py') as file:
        assert 'classroomkd_mm' not in file.read()
    image = str(people / 'test/000001.png')
    inferencer = MMPoseInferencer(
        f'{cfg.work_dir}/student.py', path, det_model='whole_image', device='cpu'
    )
    got = next(inferencer(image))['predictions'][0][0]['keypoints']
    want = inference_topdown(init_model(stock_cfg, path, device='cpu'), image)[0]
    np.testing.assert_allclose(got, want.pred_instances.keypoints[0], atol=1e-4)


def test_mpii_data_train_and_are_evaluated(demo_config, train, people):
    """MPII has no areas: PCK on the box teaches; PCKh, with its head boxes, evaluates."""
    cfg = demo_config('classroom')
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.update(
            type='MpiiDataset', ann_file=f'annotations/mpii_{split}.json'
        )
    cfg.val_dataloader.dataset.headbox_file = f'{people}/annotations/mpii_gt_val.mat'
    cfg.val_evaluator = dict(type='MpiiPCKAccuracy')
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.model.student.head.out_channels = 16
    mentor = demo_config('mentor_small').model.to_dict()
    mentor['head']['out_channels'] = 16
    cfg.model.mentors = [dict(name='m', config=mentor, checkpoint=None)]
    cfg.model.scorer = dict(type='PCKScorer', thr=0.2, norm='bbox')
    runner = train(cfg)
    assert 0 <= runner.message_hub.get_scalar('val/PCK').current() <= 100
    with open(f'{cfg.work_dir}/classroom.jsonl') as file:
        assert 0 < json.loads(file.readline())['student_score'] < 1


def _save(model, folder):
    """What :func:`_built_again` makes the same classroom of, on another rank."""
    networks = [mentor.network.state_dict() for mentor in model.mentors]
    torch.save((model.state_dict(), networks), f'{folder}/classroom.pth')


def _built_again(folder, model_cfg):
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(model_cfg).eval()
    student, networks = torch.load(f'{folder}/classroom.pth')
    model.load_state_dict(student)
    for mentor, weights in zip(model.mentors, networks):
        mentor.network.load_state_dict(weights)
    return model


def _gradient_of_half(rank, folder, model_cfg, data):
    import torch.distributed as dist
    from mmengine.model import MMDistributedDataParallel

    dist.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=2)
    model = _built_again(folder, model_cfg)
    ddp = MMDistributedDataParallel(model)
    half = slice(2 * rank, 2 * rank + 2)
    data = dict(inputs=data['inputs'][half], data_samples=data['data_samples'][half])
    losses = ddp(**model.data_preprocessor(data, True), mode='loss')
    model.parse_losses(losses)[0].backward()
    if rank == 0:
        torch.save([p.grad for p in model.parameters()], f'{folder}/grad.pth')
    dist.destroy_process_group()


def test_two_processes_give_the_gradient_of_one(build, demo_config, tmp_path):
    model, data = build().eval(), batch(4)
    _save(model, tmp_path)
    model.parse_losses(lesson(model, data))[0].backward()
    cfg = demo_config('classroom').model.to_dict()
    ranks(_gradient_of_half, str(tmp_path), cfg, data)
    for got, parameter in zip(torch.load(tmp_path / 'grad.pth'), model.parameters()):
        torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-7)


def _step_of_a_shard(rank, folder, model_cfg, data):
    """FSDP2's, which reckons on CPUs, too; each rank sees the same samples."""
    import torch.distributed as dist
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    dist.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=2)
    model = _built_again(folder, model_cfg)
    fully_shard(model, mesh=init_device_mesh('cpu', (2,)))
    assert all(isinstance(p, DTensor) for p in model.parameters())
    shared = (p for mentor in model.mentors for p in mentor.network.parameters())
    assert not any(isinstance(p, DTensor) for p in shared)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    model.parse_losses(losses)[0].backward()
    optimizer.step()
    whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        torch.save(whole, f'{folder}/stepped.pth')
    dist.destroy_process_group()


def test_a_student_in_shards_steps_as_a_whole_one(build, demo_config, tmp_path):
    """Its checkpoint is whole, and mentors are each rank's own."""
    model, data = build().eval(), batch(4)
    _save(model, tmp_path)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.parse_losses(lesson(model, data))[0].backward()
    optimizer.step()
    ranks(_step_of_a_shard, str(tmp_path), demo_config('classroom').model.to_dict(), data)
    stepped, want = torch.load(tmp_path / 'stepped.pth'), model.state_dict()
    assert list(stepped) == list(want)
    moved = sum((want[k] - before[k]).double().abs().sum() for k in want)
    apart = sum((want[k] - stepped[k]).double().abs().sum() for k in want)
    assert moved > 0 and apart < 1e-4 * moved


def test_a_killed_run_resumes_to_the_same_bits(demo_config, train):
    cfg = demo_config('classroom')
    assert any('Random' in t.type for t in cfg.train_dataloader.dataset.pipeline)
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
    with open(f'{cfg.work_dir}/classroom.jsonl', 'a') as file:
        file.write('{"epoch": 2, "iter"')  # a kill in the middle of writing a line
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
        (
            dict(student=dict(head=dict(decoder=None))),
            'student needs a heatmap head .*or a SimCC',
        ),
        (
            dict(mentors=[dict(name='m', config={})]),
            'either zoo, or config and checkpoint',
        ),
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


@pytest.mark.parametrize(
    'lacking, message',
    [
        ('area', "no 'area' in its annotations"),  # nor boxes in the samples
        ('sigmas', 'needs 17 sigmas and the data set has 0'),
    ],
)
def test_data_that_oks_cannot_score_stop_the_run_before_its_first_iteration(
    demo_config, train, people, monkeypatch, tmp_path, lacking, message
):
    cfg = demo_config('classroom')
    if lacking == 'area':
        content = json.loads((people / 'annotations/person_keypoints_train.json').read_text())
        for annotation in content['annotations']:
            del annotation['area']
        (tmp_path / 'train.json').write_text(json.dumps(content))
        cfg.train_dataloader.dataset.ann_file = str(tmp_path / 'train.json')
        packer = cfg.train_dataloader.dataset.pipeline[-1]
        packer.meta_keys = ('input_size', 'input_center', 'dataset_name', 'raw_ann_info')
    else:
        from mmpose.datasets import CocoDataset

        meta = {k: v for k, v in CocoDataset._load_metainfo(CocoDataset.METAINFO).items()}
        meta.pop('sigmas')
        monkeypatch.setattr(CocoDataset, '_load_metainfo', classmethod(lambda cls, m=None: meta))
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with pytest.raises(ValueError, match=message):
        train(cfg)
    assert not list(tmp_path.rglob('*.pth'))


def test_a_checkpoint_of_a_real_run_is_a_mentor(demo_config, train):
    small = demo_config('mentor_small')
    trained = train(small).model
    cfg = demo_config('classroom')
    checkpoint = f'{small.work_dir}/epoch_2.pth'
    settings = dict(name='m', config=small.model.to_dict(), checkpoint=checkpoint)
    cfg.model.mentors = [dict(settings, trusted=not CAN_ALLOW)]
    mentor = MODELS.build(cfg.model).mentors[0].network
    weights = trained.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in mentor.state_dict().items())


# The student is the model


def test_the_class_is_changed_in_place_and_given_back_by_export(build, demo_config, tmp_path):
    import pickle
    import pickletools

    from mmpose.models import TopdownPoseEstimator

    model = build()
    assert isinstance(model, TopdownPoseEstimator) and type(model) is type(build())
    plain = model.export()
    assert type(plain) is TopdownPoseEstimator and not hasattr(plain, 'mentors')
    inputs = torch.rand(2, 3, 64, 48)
    torch.testing.assert_close(plain.eval()(inputs, None), model.eval()(inputs), rtol=0, atol=0)
    text = pickle.dumps(plain)
    words = [arg for _, arg, _ in pickletools.genops(text) if isinstance(arg, str)]
    assert not [word for word in words if 'classroomkd' in word.lower() or 'mentor' in word]
    model.head.final_layer.bias.data.add_(1)  # its weights are its own
    assert not torch.equal(plain.head.final_layer.bias, model.head.final_layer.bias)
    plain.load_state_dict(model.state_dict())  # stock hooks work, ours are gone
    assert 'extra' in plain.load_state_dict({**model.state_dict(), 'extra': inputs}, False)[1]


def test_a_copy_holds_the_student_alone_and_moves_nobody_elses_mentors(build):
    import pickle

    model = build()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(copied) is type(model) and copied.mentors == ()
        inputs = torch.rand(2, 3, 64, 48)
        torch.testing.assert_close(copied.eval()(inputs), model.eval()(inputs), rtol=0, atol=0)
        copied.to('cpu')
        copied.load_state_dict({}, strict=False)  # as the student does: it is a copy still
        copied.to('meta')
        with pytest.raises(RuntimeError, match='a copy of a classroom, which holds no mentors'):
            copied(inputs, [], mode='loss')
    devices = {p.device.type for m in model.mentors for p in m.network.parameters()}
    devices |= {m.view.gain.device.type for m in model.mentors}
    assert devices == {'cpu'}
    model.to('meta')
    assert {p.device.type for m in model.mentors for p in m.network.parameters()} == {'meta'}


def test_an_average_on_another_device_leaves_the_mentors_where_they_are(demo_config, train):
    cfg = demo_config('classroom')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='EMAHook', device='cpu')]
    cfg.train_cfg.max_epochs = 1
    model = train(cfg).model.double()
    mentors = {p.dtype for m in model.mentors for p in m.network.parameters()}
    assert mentors == {torch.float64}


def test_the_student_outlives_the_model_and_is_copied_alone(build):
    model = build()
    student, weights = model.student, model.state_dict()
    alone = copy.deepcopy(model.student)
    del model
    inputs = torch.rand(2, 3, 64, 48)
    for each in (student, alone, copy.deepcopy(student)):
        assert not each.load_state_dict(weights).missing_keys
        torch.testing.assert_close(each.eval()(inputs, None), student.eval()(inputs, None))


def test_a_student_class_that_overrides_train_is_obeyed(build, demo_config):
    from mmpose.models import TopdownPoseEstimator

    @ROOT_MODELS.register_module(force=True)
    class WithFrozenNorm(TopdownPoseEstimator):
        def train(self, mode=True):
            super().train(mode)
            self.backbone.bn1.eval()
            return self

    student = demo_config('classroom').model.student
    model = build(student=dict(student, type='WithFrozenNorm'))
    assert model.train().head.training and not model.backbone.bn1.training
    assert not model.mentors[0].network.training


def test_loss_in_a_mentors_name_is_no_loss(build, demo_config):
    small = demo_config('mentor_small').model.to_dict()
    model = build(mentors=[dict(name='lossless', config=small, checkpoint=None)])
    losses = lesson(model, batch())
    total, log_vars = model.parse_losses(losses)
    want = losses['loss_task_kpt'] + losses['loss_distill']
    torch.testing.assert_close(total, want)
    assert torch.equal(log_vars['loss'], total)
    assert log_vars['classroom/lossless/score'] == losses['classroom/lossless/score']


def test_of_the_mentors_only_what_is_taught_is_held(build):
    """While the parts work, no maps live but one set of natural logits per mentor."""
    import gc

    model, seen = build(), []

    class Watch(type(model.knowledge_filter)):
        def forward(self, scores, mentors=()):
            gc.collect()
            size, own = mentors[0].numel(), {z.untyped_storage().data_ptr() for z in mentors}
            live = [
                t
                for t in gc.get_objects()
                if isinstance(t, torch.Tensor) and t.numel() == size and not t.requires_grad
            ]
            seen.append({t.untyped_storage().data_ptr() for t in live} - own)
            return super().forward(scores, mentors)

    model.knowledge_filter = Watch()
    data = batch()
    targets = [s.gt_fields for s in data['data_samples']]
    lesson(model, data)
    assert targets and seen == [set()]


@pytest.mark.parametrize('weight', [0.5, 0.3, 1.0])
def test_a_weight_for_all_samples_is_exact_whatever_the_loss(build, demo_config, weight):
    """Through the keypoint weights an OHKM loss would give its square."""
    student = demo_config('classroom').model.student
    student.head.loss = dict(type='KeypointOHKMMSELoss', use_target_weight=True, topk=4)
    model = build(
        student=student, mentors=[], knowledge_filter=dict(type='UniformFilter', task_weight=weight)
    )
    stock = model.export()
    data = model.data_preprocessor(batch(), True)
    want = weight * stock(**data, mode='loss')['loss_kpt']
    torch.testing.assert_close(model(**data, mode='loss')['loss_task_kpt'], want)


def test_a_file_of_the_backbone_alone_is_the_students_init_cfg(build, demo_config, tmp_path):
    backbone = {k: v for k, v in build().state_dict().items() if k.startswith('backbone.')}
    backbone = {key: torch.full_like(value, 0.25) for key, value in backbone.items()}
    torch.save(dict(state_dict=backbone), tmp_path / 'backbone.pth')
    student = demo_config('classroom').model.student
    student.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'))
    model = build(student=student)  # initialises it
    assert (model.backbone.conv1.weight == 0.25).all() and model.is_init
    assert (model.student.backbone.conv1.weight == 0.25).all()


def test_hooks_of_the_student_are_of_what_they_are_on(build, demo_config):
    """A hook that is handed the module keeps only a weak reference to it."""
    from mmpose.models import TopdownPoseEstimator

    @ROOT_MODELS.register_module(force=True)
    class Listening(TopdownPoseEstimator):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.register_load_state_dict_pre_hook(self.heard)

        def heard(self, module, *args):
            module.seen_by = (self, module)

    student = demo_config('classroom').model.student
    model = build(student=dict(student, type='Listening'))
    view, weights = model.student, model.state_dict()
    alone, plain = copy.deepcopy(view), model.export()
    del model
    for each in (view, alone, plain):
        each.load_state_dict(weights)
        assert each.seen_by == (each, each)


def test_what_is_compiled_is_not_the_students(build):
    import pickle

    model, data = build(), batch()
    model.train_step = torch.compile(model.train_step, backend='eager')
    model.forward = torch.compile(model.forward, backend='eager')
    for student in (model.student, model.export()):
        assert not {'train_step', 'forward'} & set(vars(student))
        ready = student.data_preprocessor(copy.deepcopy(data), True)
        assert list(student(**ready, mode='loss')) == ['loss_kpt']
    assert b'classroomkd' not in pickle.dumps(model.export())
    assert 'train_step' not in vars(copy.deepcopy(model))


def test_a_student_with_an_attribute_of_the_classrooms_is_refused(build, demo_config):
    from mmpose.models import TopdownPoseEstimator

    @ROOT_MODELS.register_module(force=True)
    class WithTask(TopdownPoseEstimator):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.task = 'pose'

    student = demo_config('classroom').model.student
    with pytest.raises(ValueError, match='student=WithTask has attributes of its own called task'):
        build(student=dict(student, type='WithTask'))


def test_a_student_with_its_own_way_to_be_copied(build, demo_config):
    import threading

    from mmpose.models import TopdownPoseEstimator

    @ROOT_MODELS.register_module(force=True)
    class Locked(TopdownPoseEstimator):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.lock = threading.Lock()

        def __getstate__(self):
            return {key: value for key, value in vars(self).items() if key != 'lock'}

    @ROOT_MODELS.register_module(force=True)
    class ByHand(TopdownPoseEstimator):
        def __deepcopy__(self, memo):
            made = type(self).__new__(type(self))
            made.__dict__.update(copy.deepcopy(dict(vars(self), members=None), memo))
            return made

    student = demo_config('classroom').model.student
    inputs = torch.rand(2, 3, 64, 48)
    for kind in ('Locked', 'ByHand'):
        model = build(student=dict(student, type=kind)).eval()
        torch.testing.assert_close(copy.deepcopy(model)(inputs), model(inputs))
    locked = build(student=dict(student, type='Locked')).export()
    assert not hasattr(locked, 'lock') and type(locked).__name__ == 'Locked'


def test_a_class_changed_once_more_still_knows_its_student(build):
    model = build()
    kind = type(model)
    model.__class__ = type('Wrapped', (kind,), {})
    assert type(model.export()).__name__ == 'TopdownPoseEstimator'
    assert type(copy.deepcopy(model)) is kind


def test_a_loss_of_ones_own_sees_heatmaps_of_their_true_size_from_the_start(build):
    from classroomkd_mm.parts import DistillLoss

    @MODELS.register_module(force=True)
    class ByRows(DistillLoss):
        def distance(self, student, mentors, weight, tau, tau_s, target):
            return student.unflatten(-1, (32, 24)).softmax(-1).mean() + weight.sum()

    assert 'loss_distill' in lesson(build(distill_loss=dict(type='ByRows')), batch())


def test_a_part_that_cannot_be_copied_is_rehearsed_itself(build):
    import threading

    from classroomkd_mm.parts import FixedMentoring

    @MODELS.register_module(force=True)
    class Holding(FixedMentoring):
        def __init__(self):
            super().__init__(tau=2.0)
            self.lock = threading.Lock()

    assert build(mentoring=dict(type='Holding')).mentoring.lock


def test_the_same_weights_given_twice_are_one_network_and_asked_once(build, demo_config, tmp_path):
    small = demo_config('mentor_small').model
    torch.manual_seed(3)
    torch.save(dict(state_dict=ROOT_MODELS.build(small).state_dict()), tmp_path / 'a.pth')
    torch.save(dict(state_dict=ROOT_MODELS.build(small).state_dict()), tmp_path / 'c.pth')
    mentors = [
        dict(name=name, config=small.to_dict(), checkpoint=str(tmp_path / f'{file}.pth'))
        for name, file in (('first', 'a'), ('second', 'a'), ('third', 'c'))
    ]
    model = build(mentors=mentors).eval()
    first, second, third = (mentor.network for mentor in model.mentors)
    assert first is second and first is not third
    asked = []
    first.register_forward_hook(lambda *_: asked.append(1))
    losses = lesson(model, batch())
    assert len(asked) == 1
    assert losses['classroom/first/score'] == losses['classroom/second/score']
    random = [dict(mentor, checkpoint=None) for mentor in mentors]
    assert len({id(mentor.network) for mentor in build(mentors=random).mentors}) == 3


@POSE_MODELS.register_module()
class AddsALoss(TopdownPoseEstimator):
    """As users add one."""

    def loss(self, inputs, data_samples):
        return dict(super().loss(inputs, data_samples), loss_more=self.head.final_layer.bias.sum())


def test_a_student_with_a_loss_of_its_own_is_warned_of(build, demo_config, caplog):
    student = demo_config('classroom').model.student.to_dict()
    logger = logging.getLogger('classroomkd_mm.test')
    with mock.patch.object(MMLogger, 'get_current_instance', return_value=logger):
        build()
        assert 'computes its loss itself' not in caplog.text
        build(student=dict(student, type='AddsALoss'))
    assert 'student=AddsALoss computes its loss itself' in caplog.text
    assert "what AddsALoss adds is not trained; move it into the head's loss" in caplog.text
