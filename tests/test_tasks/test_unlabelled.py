"""Pictures without a label, among others that have one, and plain torch data sets of them."""

import copy
import json
from math import exp, log

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample

from classroomkd_mm.registry import MODELS

SCOPE = 'mmpretrain'
CLASSES = 4
LABELS = [None, 1, 3, None, 0]


def network(width=4, classes=CLASSES, **preprocessor):
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor', mean=[0.0], std=[1.0], **preprocessor
        ),
        backbone=dict(
            type='classroomkd_mm.CIFARResNet', depth=8, widths=(4, 4, 4, width), in_channels=1
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=classes, in_channels=width),
    )


def mentors():
    return [dict(name=name, config=network(8), checkpoint=None) for name in 'ab']


def build(student=None, others=None, **parts):
    torch.manual_seed(0)
    parts.setdefault('knowledge_filter', dict(type='KnowledgeFilter'))
    parts.setdefault('mentoring', dict(type='AdaptiveMentoring', alpha=2.0))
    cfg = dict(type='classroomkd_mm.ClassroomDistiller', student=student or network(), **parts)
    model = MODELS.build(dict(cfg, mentors=others or mentors())).eval()
    for mentor in model.mentors:
        mentor.network.head.fc.weight.data.mul_(30)
    return model


def sample_of(label):
    return DataSample() if label is None else DataSample().set_gt_label(label)


def batch(labels=LABELS):
    torch.manual_seed(1)
    inputs = torch.rand(len(labels), 1, 16, 16) * 255
    return dict(inputs=inputs, data_samples=[sample_of(label) for label in labels])


def kl(p, q):
    return sum(a * log(a / b) for a, b in zip(p, q))


@pytest.mark.parametrize('labels', [LABELS, LABELS[1:], LABELS[::-1]], ids=['none first', '1', '0'])
def test_a_batch_may_mix_both(labels):
    model, data = build(), batch(labels)
    ready = model.data_preprocessor(copy.deepcopy(data), True)
    got = model(**ready, mode='loss')
    with torch.no_grad():
        student = model(ready['inputs']).double()
        theirs = [m.network(ready['inputs'], mode='tensor').double() for m in model.mentors]
    task, distill, labelled = 0.0, 0.0, [y for y in labels if y is not None]
    probabilities = [student.softmax(-1), *(z.softmax(-1) for z in theirs)]
    told = [(i, y) for i, y in enumerate(labels) if y is not None]
    standing = [sum(p[i, y].item() for i, y in told) / len(told) for p in probabilities]
    for i, y in enumerate(labels):
        q = student[i].softmax(0).tolist()
        w = standing if y is None else [p[i, y].item() for p in probabilities]
        r = [2 * each / sum(w) for each in w]
        if y is not None:
            task += -w[0] * log(q[y])
        for z, r_m in zip(theirs, r[1:]):
            if r_m >= r[0]:
                tau = 1 + 2 * (r_m - r[0]) / max(r_m, r[0])
                p, soft = ((each / tau).softmax(0).tolist() for each in (z[i], student[i]))
                distill += r_m * tau**2 * kl(p, soft)
    assert got['loss_task'].item() == pytest.approx(task / len(labelled), rel=1e-4)
    assert got['loss_distill'].item() == pytest.approx(distill / len(labels), rel=1e-4)
    w = [student[i].softmax(0)[y].item() for i, y in enumerate(labels) if y is not None]
    mean = sum(w) / len(w)
    assert got['classroom/student_score'].item() == pytest.approx(mean, rel=1e-4)
    line = model.record.line()
    assert line['unlabelled'] == len(labels) - len(labelled)
    assert line['task_weight'] == pytest.approx(mean, rel=1e-4)


def test_the_geometric_mean_of_a_batch_leaves_them_out():
    model = build(knowledge_filter=dict(type='KnowledgeFilter', granularity='batch'))
    ready = model.data_preprocessor(batch(), True)
    losses = model(**ready, mode='loss')
    q = model(ready['inputs']).softmax(-1)
    logs = [log(q[i, y].item()) for i, y in enumerate(LABELS) if y is not None]
    assert model.record.line()['task_weight'] == pytest.approx(exp(sum(logs) / 3), rel=1e-4)
    assert losses['loss_distill'] > 0


@pytest.mark.parametrize('loss', ['KL', 'MSE', 'DKD', 'DIST'])
@pytest.mark.parametrize(
    'rule',
    [
        dict(type='UniformFilter'),
        dict(type='EntropyFilter'),
        dict(type='ConfidenceFilter'),
        dict(type='KnowledgeFilter', min_score=0.5, strict=True),
        dict(type='KnowledgeFilter', ranking='ordinal', granularity='batch'),
        dict(type='KnowledgeFilter', granularity='keypoint'),
    ],
)
def test_without_any_label_all_teach(loss, rule):
    model = build(knowledge_filter=dict(rule), distill_loss=dict(type=f'{loss}DistillLoss'))
    found = {}
    plan = model.knowledge_filter.forward
    model.knowledge_filter.forward = lambda *args: found.setdefault('lesson', plan(*args))
    losses = model(**model.data_preprocessor(batch([None] * 4), True), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert losses['loss_task'] == 0 and found['lesson'].active.all()
    torch.testing.assert_close(found['lesson'].weight.sum(0), torch.ones(4, 1))
    if rule['type'] != 'EntropyFilter':
        assert (found['lesson'].weight == 1 / 2).all()
    # DKD takes the true class apart: without one it has no lesson.
    assert (losses['loss_distill'] > 0) == (loss != 'DKD')
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_mentor_of_some_classes_teaches_what_nobody_has_labelled():
    others = [dict(mentors()[0], config=network(8, 2), classes=('d', 'b'))]
    model = build(others=others, knowledge_filter=dict(type='UniformFilter'))
    model.prepare(Pictures([0, None]))
    ready = model.data_preprocessor(batch([0, None, 1]), True)
    z = model.mentors[0].network(ready['inputs'], mode='tensor')[:, [1, 0]].log_softmax(-1)
    q = model(ready['inputs'])[:, [1, 3]].log_softmax(-1)
    want = (z.exp() * (z - q)).sum(-1)[1:].sum() / 3  # of class 0 it knows nothing
    model.mentoring.alpha = 0.0
    torch.testing.assert_close(model(**ready, mode='loss')['loss_distill'], want, rtol=1e-4, atol=0)


@pytest.mark.parametrize('augment', ['Mixup', 'CutMix'])
def test_pictures_with_and_without_a_label_are_not_mixed(augment):
    """Half a label is neither: of a picture that is blank by 0.9996 all would be nearly right."""
    augment = dict(augments=dict(type=augment, alpha=1.0))
    student = network(num_classes=CLASSES, to_onehot=True, batch_augments=augment)
    student['head']['loss'] = dict(type='CrossEntropyLoss', use_soft=True)
    model = build(student)
    told = '^data_preprocessor.batch_augments mixes pictures, of which 2 of 5 have no label: '
    with pytest.raises(ValueError, match=told):
        model.data_preprocessor(batch(), True)
    model.data_preprocessor(batch(), False)  # evaluation mixes nothing
    for labels in ([0, 1], [None, None]):
        ready = model.data_preprocessor(batch(labels), True)
        assert model(**ready, mode='loss')['loss_distill'].isfinite()


def test_the_stock_preprocessor_does_the_same_where_all_or_none_are_labelled():
    stock = ClsDataPreprocessor(mean=[0.0], std=[1.0])
    for labels in ([0, 1], [None, None]):
        done = stock(batch(labels))['data_samples']
        assert ['gt_label' in sample for sample in done] == [y is not None for y in labels]
        assert [s.gt_label.tolist() for s in done if 'gt_label' in s] == [
            [y] for y in labels if y is not None
        ]


class Pictures(torch.utils.data.Dataset):
    """A plain torch data set: no metainfo, no get_data_info; bright rows tell the class."""

    classes = list('abcd')

    def __init__(self, labels=(None, 0, 1, 2, 3, None, 0, 1)):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        picture = torch.zeros(1, 16, 16, dtype=torch.uint8)
        picture[:, 4 * (i % 4) : 4 * (i % 4) + 4] = 200
        return dict(inputs=picture, data_samples=sample_of(self.labels[i]))


@pytest.fixture
def pictures():
    DATASETS.register_module(module=Pictures, force=True)
    yield dict(type='Pictures')
    DATASETS.module_dict.pop('Pictures')


def started(pictures, work_dir, fixed=False, epochs=2, hooks=(), others=(), **cfg):
    """A run whose third mentor knows some classes alone."""
    dataset = dict(type='classroomkd_mm.FixedViews', dataset=pictures, views=2)
    loader = dict(
        batch_size=4, num_workers=0, dataset=dataset if fixed else pictures,
        sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='pseudo_collate'),
    )  # fmt: skip
    some = dict(mentors()[0], name='some', config=network(8, 3), classes=('c', 'a', 'z'))
    runner = Runner.from_cfg(
        Config(
            dict(
                model=dict(
                    type='classroomkd_mm.ClassroomDistiller',
                    student=network(),
                    mentors=others or [*mentors(), some],
                    knowledge_filter=dict(type='KnowledgeFilter'),
                ),
                work_dir=str(work_dir),
                train_dataloader=loader,
                train_cfg=dict(by_epoch=True, max_epochs=epochs),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
                custom_hooks=[dict(type='classroomkd_mm.ClassroomHook'), *hooks],
                default_scope='mmpretrain',
                randomness=dict(seed=0),
                experiment_name=f'{work_dir.name}_{fixed}_{epochs}',
                **cfg,
            )
        )
    )
    runner.train()
    return runner


@pytest.mark.parametrize('fixed', [False, True])
def test_a_run_on_a_plain_data_set(fixed, pictures, tmp_path):
    labelled = dict(
        batch_size=2, num_workers=0, dataset=dict(pictures, labels=[0, 1, 2, 3]),
        sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='pseudo_collate'),
    )  # fmt: skip
    evaluated = dict(val_dataloader=labelled, val_evaluator=dict(type='Accuracy'), val_cfg=dict())
    runner = started(
        pictures, tmp_path, fixed, hooks=[dict(type='classroomkd_mm.MentorEvalHook')], **evaluated
    )
    lines = [json.loads(line) for line in (tmp_path / 'classroom.jsonl').read_text().splitlines()]
    assert [line['unlabelled'] for line in lines] == [2, 2] and len(lines) == 2
    assert all(line['losses']['loss_task'] > 0 for line in lines)
    bridge = runner.model.members[2][1]
    assert bridge.places.tolist() == [0, 2]
    assert 'not taught by it: 2 of the 4' in bridge.adaptations[1]


def test_a_resumed_run_knows_how_well_everybody_has_done(pictures, tmp_path):
    """The standing decides who teaches what nobody has labelled; a checkpoint keeps it."""
    whole = started(pictures, tmp_path / 'whole').model
    started(pictures, tmp_path / 'halved', epochs=1)
    halved = started(pictures, tmp_path / 'halved', resume=True).model
    torch.testing.assert_close(halved.standing.sums, whole.standing.sums, rtol=0, atol=0)
    assert whole.standing.sums[1, 0, 0] > 6  # two epochs of six labelled pictures, less decay
    for name, value in whole.state_dict().items():
        assert torch.equal(halved.state_dict()[name], value), name


def test_other_mentors_begin_anew(pictures, tmp_path):
    """Also as many as before: they are not judged by what others have done."""
    started(pictures, tmp_path / 'run', epochs=1)
    alone = mentors()[0]
    others = [dict(alone, name=name) for name in ('x', 'y', 'some')]
    whole = started(pictures, tmp_path / 'run', resume=True, others=others).model
    assert 1 < whole.standing.sums[1, 0, 0] < 6.1  # an epoch of six labelled pictures
