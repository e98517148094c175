"""Classification: the distiller on MMPretrain's classifiers, heads, labels and errors."""

import copy
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS as ROOT_MODELS
from mmpretrain.structures import DataSample

from classroomkd_mm.registry import MODELS
from classroomkd_mm.structures import Answer

SCOPE = 'mmpretrain'
CLASSES = 5
PREPROCESSOR = dict(type='mmpretrain.ClsDataPreprocessor', mean=[0.0], std=[1.0])


def network(channels=4, classes=CLASSES, head=None, **settings):
    """A small ImageClassifier's config."""
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=copy.deepcopy(PREPROCESSOR),
        backbone=dict(
            type='classroomkd_mm.CIFARResNet', depth=8, widths=(4, 4, 4, channels), in_channels=1
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=classes,
            in_channels=channels,
            **(head or {}),
        ),
        **settings,
    )


def mentor(name='m', config=None, **settings):
    return dict(name=name, config=config or network(8), checkpoint=None, **settings)


def build(student=None, mentors=None, **parts):
    torch.manual_seed(0)
    parts.setdefault('knowledge_filter', dict(type='KnowledgeFilter'))
    parts.setdefault('mentoring', dict(type='AdaptiveMentoring', alpha=2.0))
    model = MODELS.build(
        dict(
            type='classroomkd_mm.ClassroomDistiller',
            student=student or network(),
            mentors=[mentor('a'), mentor('b')] if mentors is None else mentors,
            **parts,
        )
    )
    return model.train()


def batch(samples=6, classes=CLASSES):
    torch.manual_seed(1)
    labels = torch.randint(0, classes, (samples,))
    return dict(
        inputs=torch.rand(samples, 1, 16, 16) * 255,
        data_samples=[DataSample().set_gt_label(label) for label in labels],
    )


def lesson(model, data):
    return model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss')


def total(losses):
    return sum(value for key, value in losses.items() if 'loss' in key)


def test_the_loss_is_the_formula_sample_by_sample():
    model, data = build().eval(), batch()
    got = lesson(model, data)
    inputs = model.data_preprocessor(data, False)['inputs']
    with torch.no_grad():
        student = model(inputs)
        mentors = [m.network(inputs, mode='tensor') for m in model.mentors]
    task = distill = 0.0
    for i, sample in enumerate(data['data_samples']):
        label = sample.gt_label.item()
        w = [z[i].softmax(0)[label].item() for z in (student, *mentors)]
        r = [2 * x / sum(w) for x in w]
        task += w[0] * F.cross_entropy(student[i], torch.tensor(label)).item() / 6
        for z, r_m in zip(mentors, r[1:]):
            if r_m >= r[0]:
                tau = 1 + 2.0 * (r_m - r[0]) / max(r_m, r[0])
                p, q = (z[i] / tau).softmax(0), (student[i] / tau).softmax(0)
                distill += r_m * tau**2 * (p * (p / q).log()).sum().item() / 6
    assert got['loss_task'].item() == pytest.approx(task, rel=1e-4)
    assert got['loss_distill'].item() == pytest.approx(distill, rel=1e-4)


def test_beta_multiplies_logits_and_what_the_student_is_pulled_to():
    """KL of beta times the logits; scores are of the logits as they are."""
    model, data = build(distill_loss=dict(type='KLDistillLoss', beta=3.0)).eval(), batch()
    got = lesson(model, data)
    inputs = model.data_preprocessor(data, False)['inputs']
    with torch.no_grad():
        student = model(inputs)
        mentors = [m.network(inputs, mode='tensor') for m in model.mentors]
    distill = 0.0
    for i, sample in enumerate(data['data_samples']):
        label = sample.gt_label.item()
        w = [z[i].softmax(0)[label].item() for z in (student, *mentors)]
        r = [2 * x / sum(w) for x in w]
        for z, r_m in zip(mentors, r[1:]):
            if r_m >= r[0]:
                tau = 1 + 2.0 * (r_m - r[0]) / max(r_m, r[0])
                p, q = (3 * z[i] / tau).softmax(0), (3 * student[i] / tau).softmax(0)
                distill += r_m * tau**2 * (p * (p / q).log()).sum().item() / 6
    assert got['loss_distill'].item() == pytest.approx(distill, rel=1e-4) and distill > 0


@pytest.mark.parametrize(
    'head',
    [
        dict(type='mmpretrain.LinearClsHead', num_classes=CLASSES, in_channels=4),
        dict(
            type='mmpretrain.StackedLinearClsHead',
            num_classes=CLASSES,
            in_channels=4,
            mid_channels=[6],
        ),
        dict(
            type='mmpretrain.LinearClsHead',
            num_classes=CLASSES,
            in_channels=4,
            loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        ),
        dict(
            type='mmpretrain.LinearClsHead',
            num_classes=CLASSES,
            in_channels=4,
            cal_acc=True,
            topk=(1,),
        ),
    ],
    ids=['linear', 'stacked', 'label-smoothing', 'accuracy'],
)
def test_every_head_that_gives_logits_computes_its_own_loss(head):
    student = network()
    student['head'] = head
    model, data = build(student, [], knowledge_filter=dict(type='UniformFilter')), batch()
    stock = ROOT_MODELS.build(student).train()
    stock.load_state_dict(model.state_dict())
    want = stock(**stock.data_preprocessor(copy.deepcopy(data), True), mode='loss')
    got = lesson(model, data)
    torch.testing.assert_close(got['loss_task'], want['loss'])
    assert ('accuracy_top-1' in got) == ('accuracy_top-1' in want)
    # Weighted per sample: the head's own loss of each sample alone, times its weight.
    inputs = model.data_preprocessor(copy.deepcopy(data), True)
    feats, output = model.eval().task.forward(model, inputs['inputs'])
    weight = torch.arange(6.0)
    weighted = model.task.task_loss(model, feats, output, inputs['data_samples'], weight)
    alone = [
        model.task.task_loss(
            model,
            tuple(f[i : i + 1] for f in feats),
            output[i : i + 1],
            [sample],
            torch.ones(1),
        )['loss']
        for i, sample in enumerate(inputs['data_samples'])
    ]
    torch.testing.assert_close(weighted['loss'], (weight * torch.stack(alone)).sum() / 6)


@pytest.mark.parametrize('augment', ['Mixup', 'CutMix'])
def test_soft_labels_of_batch_augmentation(augment):
    student = network()
    student['data_preprocessor'].update(
        num_classes=CLASSES,
        to_onehot=True,
        batch_augments=dict(augments=dict(type=augment, alpha=1.0)),
    )
    student['head']['loss'] = dict(type='CrossEntropyLoss', use_soft=True)
    model, data = build(student).eval(), batch()
    torch.manual_seed(3)
    ready = model.data_preprocessor(copy.deepcopy(data), True)
    losses = model(**ready, mode='loss')
    assert total(losses).isfinite() and losses['loss_distill'] > 0
    soft = torch.stack([sample.gt_score for sample in ready['data_samples']])
    log_p = model(ready['inputs']).log_softmax(-1)
    want = torch.stack([(y * q).sum().exp() for y, q in zip(soft, log_p)]).mean()
    torch.testing.assert_close(losses['classroom/student_score'], want.detach())


def test_a_mentor_of_another_input_size_sees_it():
    model = build(mentors=[mentor('m', input_size=(24, 20)), mentor('same')])
    (resized, bridge), (same, _) = model.members
    ramp = torch.arange(16.0).expand(2, 1, 12, 16)  # grey levels grow from left to right
    seen = resized.view(ramp)
    assert seen.shape == (2, 1, 20, 24) and same.view(ramp) is ramp
    want = ((torch.arange(24.0) + 0.5) * 16 / 24 - 0.5).clamp(0, 15)
    torch.testing.assert_close(seen, want.expand_as(seen))
    assert (*resized.view.adaptations, *bridge.adaptations) == ('input to 24x20',)
    total(lesson(model, batch())).backward()
    samples = [DataSample().set_gt_label(0) for _ in range(2)]
    scores = torch.stack([s.pred_score for s in bridge.predict(resized.network, seen, samples)])
    torch.testing.assert_close(scores, resized.network(seen).softmax(-1))


@pytest.mark.parametrize('setting', ['letterbox', 'keypoints', 'min_shared_keypoints'])
def test_a_pose_setting_is_refused_for_a_classifier(setting):
    with pytest.raises(ValueError, match=f"mentor 'm': {setting} is for pose networks, and this "):
        build(mentors=[mentor('m', **{setting: 5})])


def test_without_mentors_every_filter_leaves_the_task():
    for name in ('KnowledgeFilter', 'UniformFilter', 'ConfidenceFilter', 'EntropyFilter'):
        losses = lesson(build(mentors=[], knowledge_filter=dict(type=name)), batch())
        assert losses['loss_distill'] == 0 and losses['loss_task'] > 0


def test_what_a_multi_label_head_is_told_to_use_has_its_weights_and_its_loss():
    student = network()
    student['data_preprocessor'].update(
        num_classes=CLASSES, to_onehot=True, batch_augments=dict(augments=dict(type='Mixup'))
    )
    student['data_preprocessor']['batch_augments']['augments']['alpha'] = 1.0
    student['head']['loss'] = dict(type='CrossEntropyLoss', use_sigmoid=True)
    model = build(student, knowledge_filter=dict(type='UniformFilter'))
    many = dict(type='MultiLabelLinearClsHead', num_classes=CLASSES, in_channels=4)
    stock = ROOT_MODELS.build(dict(student, head=many)).train()
    stock.load_state_dict(model.state_dict())
    ready = model.data_preprocessor(batch(), True)
    want = stock(**ready, mode='loss')['loss']
    torch.testing.assert_close(model(**ready, mode='loss')['loss_task'], want)
    assert total(lesson(build(student), batch())).isfinite()  # each sample has its own weight


@pytest.mark.parametrize('distillation', [True, False])
def test_efficient_formers_head_is_read_as_its_predict_does(distillation):
    head = dict(type='EfficientFormerClsHead', num_classes=CLASSES, in_channels=8)
    config = dict(network(8), head=dict(head, distillation=distillation))
    model = build(mentors=[mentor('m', config)]).eval()
    inputs = model.data_preprocessor(batch(), False)['inputs']
    (read,), _ = model._ask(inputs, ())
    predicted = model.mentors[0].network(inputs, [DataSample() for _ in range(6)], mode='predict')
    want = torch.stack([sample.pred_score for sample in predicted])
    torch.testing.assert_close(read.guess.softmax(-1), want)
    if distillation:  # MMPretrain cannot train it
        with pytest.raises(ValueError, match='student needs a head that .*got EfficientFormerCls'):
            build(config)
    else:
        assert total(lesson(build(config, [mentor('m', config)]), batch())).isfinite()


def test_a_compiled_classroom_gives_the_same_lesson():
    model = build()
    want = lesson(model, batch())
    model.forward = torch.compile(model.forward, backend='eager')
    for key, value in lesson(model, batch()).items():
        torch.testing.assert_close(value, want[key])


@pytest.mark.skipif(find_spec('timm') is None, reason='timm is not installed')
def test_a_timm_classifier_is_a_student_and_a_mentor():
    timm = dict(
        type='mmpretrain.TimmClassifier',
        model_name='mobilenetv3_small_050',
        in_chans=1,
        num_classes=CLASSES,
        data_preprocessor=copy.deepcopy(PREPROCESSOR),
    )
    model = build(timm, [mentor('t', copy.deepcopy(timm)), mentor('m')])
    data = batch()
    data['inputs'] = torch.rand(6, 1, 64, 64)
    total(lesson(model, data)).backward()
    assert all(p.grad is not None for p in model.parameters())
    stock = ROOT_MODELS.build(timm)
    assert stock.load_state_dict(model.state_dict(), strict=True)


@pytest.mark.skipif(find_spec('transformers') is None, reason='transformers is not installed')
def test_a_hugging_face_classifier_is_a_student_and_a_mentor(tmp_path):
    from transformers import ResNetConfig

    small = dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type='basic')
    ResNetConfig(num_channels=1, num_labels=CLASSES, **small).save_pretrained(tmp_path)
    hugging_face = dict(
        type='mmpretrain.HuggingFaceClassifier',
        model_name=str(tmp_path),
        data_preprocessor=copy.deepcopy(PREPROCESSOR),
    )
    stock = ROOT_MODELS.build(copy.deepcopy(hugging_face))
    torch.save(stock.state_dict(), tmp_path / 'hf.pth')  # without the wrapper's prefix
    theirs = dict(mentor('hf', copy.deepcopy(hugging_face)), checkpoint=str(tmp_path / 'hf.pth'))
    model, data = build(copy.deepcopy(hugging_face), [theirs, mentor('m')]), batch()
    data['inputs'] = torch.rand(6, 1, 64, 64)
    inputs = model.data_preprocessor(copy.deepcopy(data))['inputs']
    torch.testing.assert_close(model.mentors[0](inputs).parts[0], stock.eval()(inputs).float())
    total(lesson(model, data)).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert stock.load_state_dict(model.state_dict(), strict=True)
    with pytest.raises(ValueError, match="mentor 'm' has 7 classes, the student 5"):
        build(hugging_face, [mentor('m', network(classes=7))])


def names(*labels):
    return [f'class {label}' for label in labels]


class Labelled(list):
    """A data set of packed samples with class names."""

    def __init__(self, labels, classes):
        super().__init__(dict(data_samples=DataSample().set_gt_label(v)) for v in labels)
        self.labels, self.metainfo = labels, dict(classes=classes)

    def get_data_info(self, i):
        return dict(gt_label=self.labels[i])


def test_a_mentor_with_another_class_list_is_joined_by_name():
    theirs = names(9, 3, 0, 4, 1, 2, 8)
    model = build(mentors=[mentor('m', network(classes=7), classes=theirs)])
    with pytest.raises(RuntimeError, match='classes needs the data set.s class names'):
        lesson(model, batch())
    model.prepare(Labelled([0, 4], names(*range(5))))
    ((built, bridge),) = model.members
    assert bridge.index.tolist() == [2, 4, 5, 1, 3]
    outputs = torch.arange(14.0).view(2, 7)
    joined = bridge.read(Answer((outputs,), torch.tensor(True))).guess
    assert joined[0].tolist() == [2, 4, 5, 1, 3]
    predicted = bridge.predict(built.network, torch.rand(2, 1, 16, 16), None)
    assert [sample.pred_score.numel() for sample in predicted] == [5, 5]
    assert total(lesson(model, batch())).isfinite()
    for ours, message in (
        (names(0, 5, 6, 7, 10), "mentor 'm': classes has 1 of the data set's 5 classes"),
        (names(0, 1), 'the data set names 2 of the 5 classes'),
        (names(0, 1, 2, 3, 3), "the data set's classes names .'class 3'. twice"),
    ):
        with pytest.raises(ValueError, match=message):
            model.prepare(Labelled([0], ours))


@pytest.mark.parametrize(
    'student, mentors, message',
    [
        (
            None,
            [mentor('m', network(classes=7))],
            "mentor 'm' has 7 classes, the student 5; map them with "
            r"classes=\[the mentor's class names\]$",
        ),
        (
            None,
            [mentor('m', network(classes=7), classes=names(1, 2))],
            "mentor 'm': classes has 2 names, the mentor 7 classes",
        ),
        (
            None,
            [mentor('m', dict(network(), data_preprocessor=dict(type='ClsDataPreprocessor')))],
            "mentor 'm': its data_preprocessor says no mean and std, so what inputs it expects is "
            r'unknown; write them into its config \(mean=\[0\], std=\[1\] if it takes raw '
            r'pixels\)$',
        ),
        (
            dict(
                network(), head=dict(type='MultiLabelLinearClsHead', num_classes=5, in_channels=4)
            ),
            [],
            'student has the multi-label head MultiLabelLinearClsHead.* use LinearClsHead with',
        ),
        (dict(network(), head=None), [], 'student needs a head that gives logits .*got NoneType'),
        (
            dict(network(), head=dict(type='ArcFaceClsHead', num_classes=5, in_channels=4)),
            [],
            'student needs a head that gives logits .*got ArcFaceClsHead',
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused_when_the_model_is_built(student, mentors, message):
    with pytest.raises(ValueError, match=message):
        build(student, mentors)


def test_a_size_of_pictures_is_two_numbers_of_pixels_and_said():
    for wrong in [(32,), (32, 0), (0, 32), (16, 32, 32)]:
        with pytest.raises(ValueError) as error:
            build(mentors=[mentor(input_size=wrong)])
        said = f"mentor 'm': input_size={wrong!r} must be (width, height) in pixels"
        assert str(error.value) == said
    ((_, bridge),) = build(mentors=[mentor(input_size=(1, 20))]).members
    assert bridge.adaptations == ('input to 1x20',) and bridge.sizes == ()
    assert bridge.kind == 'CIFARResNet'


def test_a_student_that_gives_no_logits_is_refused():
    with pytest.raises(TypeError, match='^the student gave a tuple, not logits$'):
        build(mentors=[]).task.read((torch.zeros(1, 2),))


def test_another_tasks_scorer_and_loss_are_refused():
    with pytest.raises(ValueError, match='scorer=OKSScorer does not fit the student; use TrueCl'):
        build(scorer=dict(type='OKSScorer'))


@pytest.mark.parametrize(
    'parts, message',
    [
        (
            dict(knowledge_filter=dict(type='DTKDMentoring', tau=1.0)),
            'knowledge_filter=DTKDMentoring is a mentoring',
        ),
        (dict(distill_loss=dict(type='KnowledgeFilter')), 'it belongs in knowledge_filter='),
        (dict(distill_loss=dict(type='KLDistillLoss', beta=0)), 'distill_loss.beta=0 is not posi'),
        (dict(mentors=[mentor(3)]), 'mentors.0..name=3 must be a string'),
    ],
)
def test_parts_in_the_wrong_place_are_named(parts, message):
    with pytest.raises(ValueError, match=message):
        build(**parts)
    with pytest.raises(TypeError, match='mentors must be a list of dicts, got dict'):
        build(mentors=mentor('m'))
    with pytest.raises(TypeError, match="scorer='TrueClassScorer' must be a dict"):
        build(scorer='TrueClassScorer')


def test_weights_of_another_shape_are_an_error_and_the_students_methods_are_there():
    model = build()
    with pytest.raises(RuntimeError, match=r'2 wrongly shaped keys .head.fc.weight: .7, 4., not'):
        model.load_state_dict(ROOT_MODELS.build(network(classes=7)).state_dict())
    assert model.with_head and model.student.with_head
    with pytest.raises(AttributeError, match='nonsense'):
        model.nonsense


@pytest.mark.parametrize(
    'labels, message',
    [
        ([0, 5], 'labels from 0 to 5, the student 5 classes: set num_classes'),
        ([-1, 2], 'labels from -1 to 2'),
    ],
)
def test_labels_out_of_range_are_refused_before_training(labels, message):
    model = build()
    with pytest.raises(ValueError, match=message):
        model.prepare(Labelled(labels, names(*range(5))))


def test_multi_label_data_are_refused():
    data = batch()
    data['data_samples'][2].set_gt_label([1, 3])
    with pytest.raises(ValueError, match='multi-label .a sample has 2 labels'):
        lesson(build(), data)
    student = network()
    student['data_preprocessor'].update(num_classes=CLASSES, to_onehot=True)
    with pytest.raises(ValueError, match='multi-label .a sample has 2 labels'):
        lesson(build(student), data)


def test_labels_may_be_lists_of_one():
    model, classes = build(), names(*range(5))
    model.prepare(Labelled([[0], [1]], classes))
    with pytest.raises(ValueError, match='labels from 0 to 7'):
        model.prepare(Labelled([[0], [7]], classes))
    with pytest.raises(ValueError, match='multi-label .a sample has 2 labels'):
        model.prepare(Labelled([[0], [1, 2]], classes))


@pytest.mark.parametrize(
    'loss', ['KLDistillLoss', 'MSEDistillLoss', 'DKDDistillLoss', 'DISTDistillLoss']
)
@pytest.mark.parametrize(
    'parts',
    [
        dict(),
        dict(
            knowledge_filter=dict(type='ConfidenceFilter'),
            mentoring=dict(type='DTKDMentoring', tau=4.0),
        ),
        dict(
            knowledge_filter=dict(type='EntropyFilter'),
            mentoring=dict(type='FixedMentoring', tau=2.0),
        ),
        dict(knowledge_filter=dict(type='KnowledgeFilter', ranking='ordinal', granularity='batch')),
        dict(knowledge_filter=dict(type='KnowledgeFilter', min_score=0.5, strict=True)),
    ],
)
def test_every_part_goes_with_every_loss_and_a_nan_mentor_is_muted(loss, parts):
    model = build(distill_loss=dict(type=loss), **copy.deepcopy(parts))
    next(model.mentors[0].network.parameters()).data.fill_(float('nan'))
    losses = lesson(model, batch())
    assert losses['classroom/a/muted'] == 1 and losses['classroom/a/active'] == 0
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_anchor_is_one_more_kl_with_the_first_mentor_and_muted_with_it():
    data = batch()
    plain, anchored = (
        build(distill_loss=dict(type='KLDistillLoss', anchor=anchor)).eval()
        for anchor in (0.0, 0.5)
    )
    inputs = plain.data_preprocessor(copy.deepcopy(data), False)['inputs']
    p = plain.mentors[0].network(inputs, mode='tensor').log_softmax(-1)
    q = plain(inputs).log_softmax(-1)
    more = lesson(anchored, data)['loss_distill'] - lesson(plain, data)['loss_distill']
    torch.testing.assert_close(more, 0.5 * (p.exp() * (p - q)).sum(-1).mean())
    next(anchored.mentors[0].network.parameters()).data.fill_(float('nan'))
    next(plain.mentors[0].network.parameters()).data.fill_(float('nan'))
    torch.testing.assert_close(
        lesson(anchored, data)['loss_distill'], lesson(plain, data)['loss_distill']
    )


def test_with_two_classes_dkd_without_alpha_has_nothing_to_compare():
    two = network(classes=2)
    parts = dict(distill_loss=dict(type='DKDDistillLoss', alpha=0.0))
    with pytest.raises(ValueError, match='alpha=0 compares .* with two classes there is only one'):
        build(two, [mentor('m', network(classes=2))], **parts)
    assert total(lesson(build(**parts), batch())).isfinite()


@pytest.mark.parametrize('channels', [(1, 3), (3, 1), (3, 4)])
def test_grey_and_coloured_members_teach_each_other_and_others_are_refused(channels):
    def taking(count):
        config = network()
        config['backbone']['in_channels'] = count
        return config

    ours, theirs = channels
    if theirs == 4:
        with pytest.raises(ValueError, match="mentor 'm' takes pictures of 4 channels, the stu"):
            build(taking(ours), [mentor('m', taking(theirs))])
        return
    model, data = build(taking(ours), [mentor('m', taking(theirs))]), batch()
    data['inputs'] = torch.rand(6, ours, 16, 16) * 255
    total(lesson(model, data)).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('theirs', ['model alone', 'CIFAR', 'ImageNet'])
@pytest.mark.parametrize('ours', ['CIFAR', 'files'])
def test_colours_reach_a_mentor_in_the_order_that_it_learnt(ours, theirs):
    """CIFAR's pictures arrive as RGB: a mentor that makes RGB of its files' BGR needs no flip."""

    def rgb(to_rgb):
        norm = dict(PREPROCESSOR, mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0], to_rgb=to_rgb)
        small = network()
        small['backbone']['in_channels'] = 3
        return dict(small, data_preprocessor=norm)

    load = [dict(type='LoadImageFromFile')]
    data = dict(
        CIFAR=dict(type='CIFAR100', pipeline=[]), ImageNet=dict(type='ImageNet', pipeline=load)
    )
    config = rgb(theirs != 'CIFAR')
    if theirs in data:
        config = dict(model=config, train_dataloader=dict(dataset=data[theirs]))
    model = build(rgb(ours != 'CIFAR'), [mentor('m', config)])

    class CIFAR100(Labelled):
        pass

    arrived = (CIFAR100 if ours == 'CIFAR' else Labelled)([0, 4], names(*range(5)))
    model.prepare(arrived)
    picture = torch.arange(3.0).view(1, 3, 1, 1).expand(1, 3, 2, 2)  # all of them see RGB
    assert torch.equal(model.mentors[0].view(picture), picture)
