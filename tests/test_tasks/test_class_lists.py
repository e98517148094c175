"""Mentors that know only some of the student's classes: against plain loops, and in a real run."""

import copy
from math import exp, log

import pytest
import torch
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.structures import DataSample

from classroomkd_mm.analysis.fidelity import Fidelity, add_batch
from classroomkd_mm.registry import MODELS
from classroomkd_mm.structures import Answer
from classroomkd_mm.tasks.classification import ClassBridge
from classroomkd_mm.tasks.classification.bridge import shared_classes

SCOPE = 'mmpretrain'
OURS = tuple('abcdef')
THEIRS = tuple('xedb')  # x is not the student's
PLACES, INDEX = [1, 3, 4], [3, 2, 1]  # b, d, e among ours, and among theirs


def network(width=4, classes=6, **preprocessor):
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


class Labelled(list):
    """A data set of packed samples with class names."""

    def __init__(self, classes=OURS):
        super().__init__([dict(data_samples=DataSample().set_gt_label(0))])
        self.metainfo = dict(classes=classes)

    def get_data_info(self, i):
        return dict(gt_label=0)


def build(student=None, prepare=True, **parts):
    """A classroom of a mentor that knows all, one that knows three, and one that knows two."""
    torch.manual_seed(0)
    mentors = [
        dict(name='all', config=network(8), checkpoint=None),
        dict(name='some', config=network(8, 4), checkpoint=None, classes=THEIRS),
        dict(name='two', config=network(8, 2), checkpoint=None, classes=('f', 'a')),
    ]
    cfg = dict(type='classroomkd_mm.ClassroomDistiller', student=student or network())
    model = MODELS.build(dict(cfg, mentors=mentors, **parts)).eval()
    for mentor in model.mentors:  # sure enough for filters to have something to tell apart
        mentor.network.head.fc.weight.data.mul_(30)
    if prepare:
        model.prepare(Labelled())
    return model


KNOWN = {'all': list(range(6)), 'some': PLACES, 'two': [0, 5]}
LABELS = [0, 1, 2, 3, 4, 5, 1, 5, 2]


def batch(labels=LABELS):
    torch.manual_seed(1)
    return dict(
        inputs=torch.rand(len(labels), 1, 16, 16) * 255,
        data_samples=[DataSample().set_gt_label(label) for label in labels],
    )


def logits_of(model, inputs):
    """The student's and each mentor's, whose unknown classes are left out, as plain dicts."""
    with torch.no_grad():
        student = model(inputs).double()
        theirs = {m.name: m.network(inputs, mode='tensor').double() for m in model.mentors}
    theirs['some'], theirs['two'] = theirs['some'][:, INDEX], theirs['two'][:, [1, 0]]
    return student, theirs


def softmax(row, tau=1.0):
    top = max(row)
    values = [exp((v - top) / tau) for v in row]
    return [v / sum(values) for v in values]


def score_on(row, label, known):
    """A label is a list of six masses."""
    mass = sum(label[c] for c in known)
    p = softmax(row)
    return exp(sum(label[c] / mass * log(p[i]) for i, c in enumerate(known) if label[c]))


def lesson_by_hand(student, theirs, labels, alpha):
    """KnowledgeFilter and AdaptiveMentoring, one sample and one mentor at a time."""
    total, taught = 0.0, {name: [] for name in theirs}
    for i, label in enumerate(labels):
        share = {name: sum(label[c] for c in known) for name, known in KNOWN.items()}
        count = sum(s > 0 for s in share.values())
        row = student[i].tolist()
        own = {
            name: score_on(z[i].tolist(), label, KNOWN[name]) if share[name] else 0.0
            for name, z in theirs.items()
        }
        for name, z in theirs.items():
            if not share[name]:
                continue
            seen = [row[c] for c in KNOWN[name]]
            rival = score_on(seen, label, KNOWN[name])
            whole = rival + sum(own.values())
            r_m, r_s = count * own[name] / whole, count * rival / whole
            if r_m < r_s:
                continue
            taught[name].append(i)
            tau = 1 + alpha * (r_m - r_s) / max(r_m, r_s)
            p, q = softmax(z[i].tolist(), tau), softmax(seen, tau)
            kl = sum(a * log(a / b) for a, b in zip(p, q))
            total += share[name] * r_m * tau**2 * kl
    return total / len(labels), taught


def one_hot(labels):
    return [[float(c == label) for c in range(6)] for label in labels]


def parts(**others):
    return dict(
        knowledge_filter=dict(type='KnowledgeFilter'),
        mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
        **others,
    )


def test_the_lesson_is_the_formula_on_the_known_classes_alone():
    model, data = build(**parts()), batch()
    ready = model.data_preprocessor(copy.deepcopy(data), True)
    want, taught = lesson_by_hand(*logits_of(model, ready['inputs']), one_hot(LABELS), 2.0)
    got = model(**ready, mode='loss')
    assert got['loss_distill'].item() == pytest.approx(want, rel=1e-4) and want > 0
    for name, known in KNOWN.items():
        count = sum(label in known for label in LABELS)
        assert 0 < len(taught[name]) and all(LABELS[i] in known for i in taught[name])
        assert got[f'classroom/{name}/active'].item() == pytest.approx(len(taught[name]) / count)


def test_of_a_soft_label_a_mentor_teaches_the_share_that_it_knows():
    augment = dict(augments=dict(type='Mixup', alpha=1.0))
    student = network(num_classes=6, to_onehot=True, batch_augments=augment)
    student['head']['loss'] = dict(type='CrossEntropyLoss', use_soft=True)
    model = build(student, **parts())
    torch.manual_seed(4)
    ready = model.data_preprocessor(batch(), True)
    soft = [sample.gt_score.tolist() for sample in ready['data_samples']]
    assert any(0 < sum(y[c] for c in PLACES) < 1 for y in soft)
    want, _ = lesson_by_hand(*logits_of(model, ready['inputs']), soft, 2.0)
    got = model(**ready, mode='loss')
    assert got['loss_distill'].item() == pytest.approx(want, rel=1e-4) and want > 0


@pytest.mark.parametrize('loss', ['KL', 'MSE', 'DKD', 'DIST'])
def test_every_loss_sees_a_smaller_classroom(loss):
    """As of a student that has the known classes alone; the others get no gradient."""
    rule = dict(type=f'{loss}DistillLoss')
    if loss == 'KL':
        rule['anchor'] = 0.5
    model = build(knowledge_filter=dict(type='UniformFilter'), distill_loss=rule)
    data = model.data_preprocessor(batch(), True)
    student, theirs = logits_of(model, data['inputs'])
    model.members = model.members[1:2]  # 'some' alone
    labels = torch.tensor(LABELS)
    small = student[:, PLACES].float().requires_grad_()
    names = torch.tensor([PLACES.index(y) if y in PLACES else -1 for y in LABELS])
    lesson = model.knowledge_filter(
        model.task.score(
            model.scorer,
            [model.task.read(student.float()), *model._ask(data['inputs'], ())[0]],
            [bridge for _, bridge in model.members],
            model.task.ground_truth(data['data_samples'], labels.device),
        )
    )
    assert lesson.active[0, :, 0].tolist() == [y in PLACES for y in LABELS]
    tau = torch.ones(1, len(LABELS), 1)
    heard = (names >= 0)[None, :, None]
    told = ([theirs['some'].float()[:, None]], lesson, tau, heard, names[:, None])
    want = model.distill_loss(small[:, None], *told)
    (slope,) = torch.autograd.grad(want, small)
    seen = []
    model.head.fc.register_forward_hook(lambda module, args, output: seen.append(output))
    got = model(**data, mode='loss')['loss_distill']
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)
    (gradient,) = torch.autograd.grad(got, seen)
    torch.testing.assert_close(gradient[:, PLACES], slope, rtol=1e-4, atol=1e-6)
    unknown = [c for c in range(6) if c not in PLACES]
    assert want > 0 and not gradient[:, unknown].any()
    assert not gradient[[y not in PLACES for y in LABELS]].any() or loss == 'KL'


@pytest.mark.parametrize(
    'rule, wanted',
    [
        (dict(type='UniformFilter'), lambda known, ce, h: 1 / len(known)),
        (
            dict(type='ConfidenceFilter'),
            lambda known, ce, h: (
                1.0 if len(known) == 1
                else (1 - exp(ce[0]) / sum(map(exp, ce))) / (len(known) - 1)
            ),
        ),
        (
            dict(type='EntropyFilter', form='share'),
            lambda known, ce, h: 1.0 if len(known) == 1 else 1 - h[0] / sum(h),
        ),
    ],
    ids=['uniform', 'confidence', 'entropy'],
)  # fmt: skip
def test_weights_of_other_filters_are_of_those_that_know_the_class(rule, wanted):
    model = build(knowledge_filter=rule)
    data = model.data_preprocessor(batch(), True)
    student, theirs = logits_of(model, data['inputs'])
    found = {}
    plan = model.knowledge_filter.forward
    model.knowledge_filter.forward = lambda *args: found.setdefault('lesson', plan(*args))
    model(**data, mode='loss')
    for i, label in enumerate(LABELS):
        p = {name: softmax(z[i].tolist()) for name, z in theirs.items()}
        knows = [name for name, known in KNOWN.items() if label in known]
        for m, name in enumerate(KNOWN):
            want = 0.0
            if name in knows:
                first = [name, *(other for other in knows if other != name)]
                ce = [-log(p[n][KNOWN[n].index(label)]) for n in first]
                # As if all were among six classes.
                h = [-sum(v * log(v) for v in p[n]) * log(6) / log(len(p[n])) for n in first]
                want = wanted(first, ce, h)
            assert found['lesson'].weight[m, i].item() == pytest.approx(want, abs=1e-3), (i, name)


def test_batch_granularity_compares_on_the_samples_of_known_classes():
    model = build(knowledge_filter=dict(type='KnowledgeFilter', granularity='batch'))
    data = model.data_preprocessor(batch(), True)
    student, theirs = logits_of(model, data['inputs'])
    got = model(**data, mode='loss')

    def mean(name, rows, known):
        ours = [i for i, y in enumerate(LABELS) if y in known]
        logs = [log(softmax(rows[i].tolist())[known.index(LABELS[i])]) for i in ours]
        return exp(sum(logs) / len(logs))

    own = {name: mean(name, z, KNOWN[name]) for name, z in theirs.items()}
    for name, known in KNOWN.items():
        rival = mean(name, student[:, known], known)
        taught = got[f'classroom/{name}/active'].item()
        assert taught == pytest.approx(float(own[name] >= rival)), name


def test_dynamic_temperatures_look_at_the_shared_classes():
    model = build(
        mentoring=dict(type='DTKDMentoring', tau=4.0), knowledge_filter=dict(type='UniformFilter')
    )
    data = model.data_preprocessor(batch(), True)
    student, theirs = logits_of(model, data['inputs'])
    got = model(**data, mode='loss')
    for name, known in KNOWN.items():
        taus = []
        for i in (i for i, y in enumerate(LABELS) if y in known):
            x, y = student[i, known].max().item(), theirs[name][i].max().item()
            taus.append(8 * y / (x + y) if x > 0 and y > 0 else 4.0)
        mean = sum(taus) / len(taus)
        assert got[f'classroom/{name}/temperature'].item() == pytest.approx(mean, rel=1e-4)


def test_what_is_shared_is_said_and_fewer_than_two_classes_are_refused(caplog):
    model = build()
    bridge = model.members[1][1]
    assert (bridge.places.tolist(), bridge.index.tolist()) == (PLACES, INDEX)
    said = "not taught by it: 3 of the 6 classes ('a', 'c', 'f')"
    assert bridge.adaptations == ('4 classes joined by name', said)
    assert (bridge.shared, bridge.lacks) == ((3, 6), '3 of the 6 classes')
    assert model.members[0][1].shared is model.members[0][1].lacks is None
    more = bridge.joined(dict(classes=tuple('bcdefg')))
    assert more.adaptations[1:] == ("not taught by it: 3 of the 6 classes ('c', 'f', 'g')",)
    predicted = bridge.predict(model.mentors[1].network, torch.rand(1, 1, 16, 16), None)[0]
    assert predicted.pred_score[[0, 2, 5]].tolist() == [0, 0, 0]
    assert predicted.pred_score.sum().item() == pytest.approx(1) and predicted.pred_label in PLACES
    few = ClassBridge('m', (), None, classes=tuple('aef')).joined(dict(classes=tuple('abcdef')))
    assert few.adaptations == ("not taught by it: 3 of the 6 classes ('b', 'c', 'd')",)
    few = ClassBridge('m', (), None, classes=tuple('ea')).joined(dict(classes=tuple('abcdef')))
    assert few.adaptations == ("not taught by it: 4 of the 6 classes ('b', 'c', 'd', ...)",)
    wrong = r"mentor 'm': classes has 1 of the data set's 2 classes.*it has \['x', 'e', 'd'\]"
    with pytest.raises(ValueError, match=wrong):
        ClassBridge('m', (), None, classes=THEIRS).joined(dict(classes=('e', 'f')))


def test_names_that_stand_for_two_classes_are_refused():
    for theirs, ours, side in (
        ('aabbccdd', 'abcd', 'classes'),
        ('abcde', 'aabbccdd', "the data set's classes"),
    ):
        with pytest.raises(ValueError) as error:
            shared_classes(list(theirs), list(ours), "mentor 'm'")
        assert str(error.value) == (
            f"mentor 'm': {side} names ['a', 'b', 'c'] twice: they cannot be joined by name; "
            'rename one of each'
        )
    assert shared_classes('aab', 'aab', 'm') == [(0, 0), (1, 1), (2, 2)]  # as they stand
    # ImageNet has two cranes: who asks for neither may have the others.
    theirs = list(IMAGENET_CATEGORIES)
    assert theirs.count('crane') == 2
    ours = [theirs[948], 'gizmo', theirs[0]]
    assert shared_classes(theirs, ours, 'm') == [(0, 948), (2, 0)]
    with pytest.raises(ValueError, match=r"classes names \['crane'\] twice"):
        shared_classes(theirs, [*ours, 'crane'], 'm')
    with pytest.raises(ValueError, match=r"\['x', 'y', 'z'\], the data set \['a', 'b', 'c'\]$"):
        shared_classes('xyza', 'abcd', 'm')


def test_names_that_nobody_has_told_are_asked_for():
    bridge = ClassBridge('m', (), None, classes=THEIRS)
    with pytest.raises(RuntimeError) as error:
        bridge.read(Answer((torch.zeros(1, 4),), torch.tensor(True)))
    assert str(error.value) == (
        "mentor 'm': classes needs the data set's class names, which ClassroomHook hands over: add "
        'it to custom_hooks'
    )


def test_predictions_go_with_their_samples():
    """As the network's own, whatever its head is called."""
    model, data = build(), batch([3, 1])
    inputs = data['inputs']
    for (mentor, bridge), known in zip(model.members, KNOWN.values()):
        samples = [sample.clone() for sample in data['data_samples']]
        found = bridge.predict(mentor.network, inputs, samples)
        assert [sample.gt_label.item() for sample in found] == [3, 1]
        logits = bridge._ours(mentor.network(inputs, mode='tensor'))
        for sample, row in zip(found, logits.detach()):
            assert sample.pred_score.argmax() == known[row.argmax()] == sample.pred_label
            torch.testing.assert_close(sample.pred_score[list(known)], row.softmax(-1))


def test_a_member_that_knows_all_is_read_as_before():
    bridge = ClassBridge('m', (), None, classes=tuple('fedcba')).joined(dict(classes=OURS))
    read = bridge.read(Answer((torch.arange(6.0)[None],), torch.tensor(True)))
    assert read.places is None and read.guess.tolist() == [[5, 4, 3, 2, 1, 0]]


def test_remembered_answers_of_some_classes_are_compared():
    model, data = build(), batch()
    for member, mentor in enumerate(model.mentors):
        live = mentor(data['inputs'])
        off = Answer(tuple(part * 0 for part in live.parts), live.finite)
        rows = []
        for kept in (live, off):
            found = Fidelity(7)
            add_batch(found, model, member, data, (live, kept))
            rows.append(found.row(mentor.name)[3:])
        assert rows[0] == ['0.0000', '0.00%', '0.00%', '7']
        assert float(rows[1][2].rstrip('%')) > 0  # the gradient
