"""Students whose head says more than one heatmap each: stages, or a visibility besides."""

import copy
import json

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DATASETS, MODELS

from classroomkd_mm.registry import MODELS as CLASSROOMS
from classroomkd_mm.runs import with_classroom_hook
from classroomkd_mm.tasks.pose.task import Stages

ZOO = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm'
STUDENTS = {
    'hourglass52': f'{ZOO}_hourglass52_8xb32-210e_coco-256x256.py',
    'cpm': f'{ZOO}_cpm_8xb64-210e_coco-256x192.py',
    'mspn50': f'{ZOO}_mspn50_8xb32-210e_coco-256x192.py',
    '2xmspn50': f'{ZOO}_2xmspn50_8xb32-210e_coco-256x192.py',
    'rsn18': f'{ZOO}_rsn18_8xb32-210e_coco-256x192.py',
    'vis': f'{ZOO}-vis_res50_8xb64-210e_coco-aic-256x192-merge.py',
}
STAGES = {'hourglass52': 1, 'cpm': 6, 'mspn50': 4, '2xmspn50': 8, 'rsn18': 4}
SMALL = 'configs/demo/mentor_small.py'


def student_config(name, people):
    """A published config on a few people."""
    cfg = get_config(STUDENTS[name])
    cfg.model.backbone.pop('init_cfg', None)  # weights from the net
    if cfg.train_dataloader.dataset.type == 'CombinedDataset':
        cfg.train_dataloader.dataset.datasets = cfg.train_dataloader.dataset.datasets[:1]
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        for dataset in loader.dataset.get('datasets', [loader.dataset]):
            ann_file = f'annotations/person_keypoints_{split}.json'
            dataset.update(data_root=f'{people}/', ann_file=ann_file, indices=2)
            dataset.update(data_prefix=dict(img=f'{split}/'))
            dataset.pop('bbox_file', None)
    cfg.val_evaluator.ann_file = f'{people}/annotations/person_keypoints_val.json'
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    return cfg


def still(cfg):
    """Without augmentation."""
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [t for t in pipeline if 'Random' not in t.type]
    return cfg


def classroom_model(student, root, **settings):
    mentor = dict(name='small', config=f'{root}/{SMALL}', checkpoint=None, letterbox=True)
    return dict(
        type='classroomkd_mm.ClassroomDistiller',
        student=student,
        mentors=[mentor],
        knowledge_filter=settings or dict(type='KnowledgeFilter', task_bias=1.0),
        distill_loss=dict(type='KLDistillLoss', loss_weight=0.001, beta=10.0),
    )


def quick(*names):
    """All students, those that are not named at night alone."""
    return [n if n in names else pytest.param(n, marks=pytest.mark.nightly) for n in STUDENTS]


@pytest.fixture(params=quick('hourglass52', '2xmspn50', 'rsn18', 'vis'))
def built(request, people):
    """A published student in a classroom, the stock model of its weights, and two people."""
    torch.manual_seed(0)
    cfg = student_config(request.param, people)
    model = classroom_model(cfg.model, request.config.rootpath, type='UniformFilter')
    model = CLASSROOMS.build(model).eval()
    stock = MODELS.build(cfg.model).eval()
    stock.load_state_dict(model.state_dict())
    dataset = DATASETS.build(still(cfg).train_dataloader.dataset)
    model.prepare(dataset)
    data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    return request.param, model, stock, data


def labels(samples):
    return [sample.gt_instance_labels.keypoint_weights.clone() for sample in samples]


def test_its_own_loss_is_the_stock_models_to_the_bit(built):
    """All stages' and visibility's; also where every sample has its own weight, which is 1."""
    name, model, stock, data = built
    want = stock(**copy.deepcopy(data), mode='loss')
    before = labels(data['data_samples'])
    feats, output = model.task.forward(model, data['inputs'])
    for weight in (None, torch.ones(2)):
        got = model.task.task_loss(model, feats, output, data['data_samples'], weight)
        assert set(got) == set(want)
        for key, value in want.items():
            assert torch.equal(got[key], value), key
    for sample, old in zip(data['data_samples'], before):
        assert torch.equal(sample.gt_instance_labels.keypoint_weights, old)
    assert not {'forward', 'loss'} & set(vars(model.head))
    assert ('loss_vis' in want) == (name == 'vis')


def test_the_last_stage_is_read_and_what_it_predicts(built):
    name, model, stock, data = built
    feats, output = model.task.forward(model, data['inputs'])
    whole = stock(data['inputs'], None, mode='tensor')
    if name == 'vis':
        assert torch.equal(output, whole[0]) and not isinstance(feats, Stages)
    else:
        assert len(whole) == STAGES[name] == len(feats.earlier) + 1
        assert all(map(torch.equal, whole, [*feats.earlier, output]))
    sharpness = 10 if model.task.readout.codec == 'MSRAHeatmap' else 10 / 255
    assert torch.equal(model.task.read(output).parts[0], (output * sharpness).flatten(2))
    # Untrained maps are flat; a target has a peak, which stock decodes to a quarter of a pixel.
    fields = [sample.gt_fields for sample in data['data_samples']]
    targets = [
        f.heatmaps if isinstance(f.heatmaps, torch.Tensor) else f.heatmaps[-1] for f in fields
    ]
    head = getattr(stock.head, 'pose_head', stock.head)
    found = head.decode(torch.stack(targets))
    truth = model.task.ground_truth(data['data_samples'], torch.device('cpu'))
    read = model.task.read(torch.stack(targets)).guess
    for mine, theirs, kept in zip(read, found, truth.labelled):
        far = (mine - torch.tensor(theirs.keypoints[0])).norm(dim=-1) / model.task.readout.scale[0]
        assert (far[kept] < 0.75).all() and kept.sum() > 5


def test_the_lesson_is_the_last_stages_alone(built, monkeypatch):
    name, model, _, data = built
    kept, forward = [], model.task.forward

    def keep(student, inputs):
        feats, output = forward(student, inputs)
        kept.extend([*(feats.earlier if name != 'vis' else ()), output])
        return feats, output

    monkeypatch.setattr(model.task, 'forward', keep)
    losses = model(**data, mode='loss')
    lesson = torch.autograd.grad(losses['loss_distill'], kept, allow_unused=True, retain_graph=True)
    assert lesson[-1].abs().sum() > 0
    # CPM's stages see the maps of those before, others what those are made of.
    assert name == 'cpm' or all(each is None for each in lesson[:-1])
    own = torch.autograd.grad(losses['loss_task_kpt'], kept)
    assert all(each.abs().sum() > 0 for each in own)


def test_samples_weigh_what_the_filter_says_and_visibility_is_left_alone(built):
    name, model, stock, data = built
    weight = torch.tensor([0.25, 1.5])
    feats, output = model.task.forward(model, data['inputs'])
    got = model.task.task_loss(model, feats, output, data['data_samples'], weight)
    each = [
        stock(data['inputs'][i : i + 1], data['data_samples'][i : i + 1], mode='loss')['loss_kpt']
        for i in range(2)
    ]
    want = sum(w * loss for w, loss in zip(weight, each)) / 2
    torch.testing.assert_close(got['loss_kpt'], want)
    if name == 'vis':
        plain = stock(**data, mode='loss')
        assert torch.equal(got['loss_vis'], plain['loss_vis'])
        assert torch.equal(got['acc_vis'], plain['acc_vis'])


def test_the_truth_is_of_the_level_that_the_last_stage_learns(built, people):
    name, model, _, data = built
    task, samples = model.task, data['data_samples']
    truth = task.ground_truth(samples, torch.device('cpu'))
    assert truth.keypoints.shape == (2, 17, 2) and truth.labelled.shape == (2, 17)
    level = {'mspn50': 3, 'rsn18': 3, '2xmspn50': 4}.get(name)
    for sample in samples:
        sample.gt_fields = copy.deepcopy(sample.gt_fields)
        if level is not None:
            for i, heatmaps in enumerate(sample.gt_fields.heatmaps):
                heatmaps.mul_(i == level)
            weights = sample.gt_instance_labels.keypoint_weights
            weights[[i for i in range(len(weights)) if i != level]] = 0
    again = task.ground_truth(samples, torch.device('cpu'))
    assert torch.equal(again.keypoints, truth.keypoints)
    assert torch.equal(again.labelled, truth.labelled)

    cfg = still(student_config(name, people))
    cfg.train_dataloader.dataset.pipeline[-1].pack_transformed = True
    sample = DATASETS.build(cfg.train_dataloader.dataset)[0]['data_samples']
    exact = task.ground_truth([sample], torch.device('cpu'))
    del sample.gt_instances.transformed_keypoints
    decoded = task.ground_truth([sample], torch.device('cpu'))
    far = (exact.keypoints - decoded.keypoints)[exact.labelled]
    assert (far.abs() <= task.readout.scale[0] / 2 + 1e-3).all()  # half a heatmap pixel


@pytest.mark.parametrize('name', quick('rsn18', 'vis'))
def test_a_published_config_learns_resumes_and_is_measured(
    name, people, train, tmp_path, request, monkeypatch
):
    cfg = student_config(name, people)
    cfg.model = classroom_model(cfg.model, request.config.rootpath)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.work_dir = str(tmp_path / name)
    cfg = with_classroom_hook(cfg)
    train(cfg)
    runner = train(cfg, resume=True, train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1))
    assert runner.iter == 2 and 'val/coco/AP' in runner.message_hub.log_scalars
    record = [json.loads(line) for line in open(f'{cfg.work_dir}/classroom.jsonl')]
    assert [line['epoch'] for line in record] == [1, 2]
    for line in record:
        assert line['losses']['loss_task_kpt'] > 0 and line['losses']['loss_distill'] >= 0
    plain = MODELS.build(cfg.model.student)
    assert set(plain.state_dict()) == set(runner.model.state_dict())


def test_a_stages_loss_that_takes_no_weights_is_named(people, request):
    cfg = student_config('rsn18', people)
    mse = dict(type='KeypointMSELoss', use_target_weight=True)
    cfg.model.head.loss = [mse, mse, mse, dict(type='AdaptiveWingLoss', use_target_weight=False)]
    model = classroom_model(cfg.model, request.config.rootpath)
    with pytest.raises(ValueError, match='loss=KeypointMSELoss, AdaptiveWingLoss is not linear'):
        CLASSROOMS.build(model)
    model['knowledge_filter'] = dict(type='UniformFilter')
    assert CLASSROOMS.build(model).task.takes_weights is False


def test_a_mentor_that_says_visibility_is_read_by_its_keypoints(packed, demo_config):
    """The same backbone and keypoint head, bare and inside: the same lesson and predictions."""
    cfg = demo_config('classroom').model
    bare = demo_config('mentor_small').model.to_dict()
    around = copy.deepcopy(bare)
    around['head'] = dict(type='VisPredictHead', pose_cfg=bare['head'])
    cfg.mentors = [dict(name=n, config=c, checkpoint=None) for n, c in
                   (('bare', bare), ('around', around))]  # fmt: skip
    model = CLASSROOMS.build(cfg).eval()
    (first, to_first), (second, to_second) = model.members
    second.network.backbone.load_state_dict(first.network.backbone.state_dict())
    second.network.head.pose_head.load_state_dict(first.network.head.state_dict())
    assert to_first.readout == to_second.readout
    data = model.data_preprocessor(packed(), True)
    one, other = (bridge.read(m(data['inputs'])) for m, bridge in model.members)
    assert torch.equal(one.guess, other.guess)
    assert all(map(torch.equal, one.parts, other.parts)) and len(other.parts) == 1
    found = [
        bridge.predict(m.network, m.view(data['inputs']), packed()['data_samples'])
        for m, bridge in model.members
    ]
    for a, b in zip(*found):
        assert (a.pred_instances.keypoints == b.pred_instances.keypoints).all()
        assert b.pred_instances.keypoints_visible.shape == (1, 17)


@pytest.mark.parametrize('kind', ['visibility', 'stages'])
def test_without_a_label_every_parameter_of_a_head_has_a_gradient(
    packed, demo_config, people, request, kind
):
    """DDP waits for each: a rank that drew nobody with a label would end the run."""
    cfg = demo_config('classroom').model
    if kind == 'visibility':
        cfg.student.head = dict(type='VisPredictHead', pose_cfg=cfg.student.head.to_dict())
    else:
        cfg = classroom_model(student_config('rsn18', people).model, request.config.rootpath)
    model = CLASSROOMS.build(cfg).eval()
    data = packed() if kind == 'visibility' else None
    if data is None:
        width, height = model.head.decoder.input_size
        data = dict(
            inputs=[torch.zeros(3, height, width)] * 3, data_samples=packed()['data_samples']
        )
    data['data_samples'] = [type(s)(metainfo=s.metainfo) for s in data['data_samples']]
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert [name for name, p in model.head.named_parameters() if p.grad is None] == []
