"""Bad configs: good ones with one fault each. Every one is refused before training, by name.

The faults are made from the settings themselves: each gets values of other kinds and out of its
range, a misspelt name, another part in its place.
"""

import copy
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmpretrain.structures import DataSample

from classroomkd_mm.registry import MODELS

NAN = float('nan')
NUMBER = ('2', [1.0], NAN, -1.0, True)
WHOLE = ('2', 1.5, -1, True)
FLAG = ('yes', 2, None)
WORD = ('nonsense', 3, None)
CONSENT = dict(
    balance=(*NUMBER, 0),
    balance_per=WORD,
    balance_odds=('yes', None, NAN, -1.0, 2, True),
    conflict=WORD,
    fade=FLAG,
)
LOSS = dict(loss_weight=NUMBER, **CONSENT)
# Of each part its settings with values that are wrong; those that it cannot do without.
PARTS = {
    'scorer': {
        'OKSScorer': (dict(sigmas=('0.1', 0.1, [NAN] * 17, [-0.1] * 17, [0.1] * 3)), {}),
        'PCKScorer': (dict(thr=NUMBER, norm=WORD), {}),
    },
    'knowledge_filter': {
        'KnowledgeFilter': (
            dict(granularity=WORD, strict=FLAG, min_score=NUMBER, task_bias=NUMBER,
                 decimals=WHOLE, ranking=WORD), {}),
        'UniformFilter': (dict(weight=NUMBER, task_weight=NUMBER), {}),
        'ConfidenceFilter': (dict(total=WORD), {}),
        'EntropyFilter': (dict(form=WORD), {}),
    },
    'mentoring': {
        'AdaptiveMentoring': (dict(alpha=NUMBER), dict(alpha=2.0)),
        'FixedMentoring': (dict(tau=(*NUMBER, 0)), dict(tau=1.0)),
        'DTKDMentoring': (dict(tau=(*NUMBER, 0)), dict(tau=1.0)),
    },
    'distill_loss': {
        'KLDistillLoss': (dict(beta=(*NUMBER, 0), anchor=NUMBER, **LOSS), {}),
        'MSEDistillLoss': (LOSS, {}),
        'DKDDistillLoss': (dict(alpha=NUMBER, beta=NUMBER, **LOSS), {}),
        'DISTDistillLoss': (dict(beta=NUMBER, gamma=NUMBER, **LOSS), {}),
    },
}  # fmt: skip
CLASSES_ONLY = ('TrueClassScorer', 'DKDDistillLoss')
MENTOR = dict(
    name=(3, None), config=(3, None, '/nowhere.py'), checkpoint=(3, '/nowhere.pth'),
    zoo=(3, 'hrnot'), trusted=FLAG, fuse=FLAG, channels_last=FLAG, compile=FLAG,
    dtype=('int8', 16), device=('gpu', 3), tolerance=(*NUMBER, 0),
)  # fmt: skip
OF_POSE = dict(
    keypoints=('coco', 3, ['nose'], dict(nose='nase')), min_shared_keypoints=(*WHOLE, 18),
    letterbox=FLAG, own_resolution=FLAG,
)  # fmt: skip
OF_CLASSES = dict(classes=(3, 'nonsense', ['a']), input_size=('big', 0, [1, 2, 3], -3))
KINDS = (TypeError, ValueError, KeyError, FileNotFoundError)
MODEL = ('student', 'mentors', 'scorer', 'knowledge_filter', 'mentoring', 'distill_loss', 'memory')


def misspelt(name):
    """Its last two letters exchanged."""
    return f'{name[:-2]}{name[-1]}{name[-2]}' if name[-1] != name[-2] else f'{name}s'


def faults():
    """(task, what is changed, the path of the setting, the value, what its error names)."""
    for part, kinds in PARTS.items():
        for kind, (settings, needed) in kinds.items():
            task = 'classes' if kind in CLASSES_ONLY else 'pose'
            for name, values in settings.items():
                for value in values:
                    yield task, part, {**needed, 'type': kind, name: value}, name
                yield task, part, {**needed, 'type': kind, misspelt(name): 1}, misspelt(name)
            for name in needed:
                yield task, part, dict(type=kind), name
            others = {other: kinds for other, kinds in PARTS.items() if other != part}
            for other in others:
                yield task, other, {**needed, 'type': kind}, other
        for value in (3, 'nonsense', [], dict(), dict(type=3), dict(type='nonsense')):
            yield 'pose', part, value, part
    yield 'pose', 'scorer', dict(type='TrueClassScorer'), 'scorer'
    yield 'classes', 'scorer', dict(type='OKSScorer'), 'scorer'
    yield 'pose', 'distill_loss', dict(type='DKDDistillLoss'), 'distill_loss'
    for task, own, alien in (('pose', OF_POSE, OF_CLASSES), ('classes', OF_CLASSES, OF_POSE)):
        for name, values in {**MENTOR, **own}.items():
            for value in values:
                yield task, f'mentors.0.{name}', value, name
            yield task, f'mentors.0.{misspelt(name)}', 1, name
        for name in set(alien) - set(own):
            yield task, f'mentors.0.{name}', 1, name
        for value in (3, 'nonsense', [3], dict(name='a')):
            yield task, 'mentors', value, 'mentors'
        for name in MODEL:
            yield task, misspelt(name), 1, misspelt(name)
        for value in (3, 'folder', {}, dict(dir=3), dict(dir='m', keep=0), dict(dir='m', kep=3)):
            yield task, 'memory', value, 'memory'
        for value in (None, 3, {}, dict(type='nonsense')):
            yield task, 'student', value, 'student'


GOOD = dict(pose='demo/classroom.py', classes='fashion_mnist/classroom.py')
CONFIGS = Path(__file__).parents[1] / 'configs'


@pytest.fixture(scope='module')
def good(people):
    """A pose and a classification classroom, each with one mentor, and their data, by task."""
    found = {}
    sample = DataSample().set_gt_label(1)
    cfg = Config.fromfile(CONFIGS / GOOD['pose']).train_dataloader.dataset
    with DefaultScope.overwrite_default_scope('mmpose'):
        persons = DATASETS.build(dict(cfg, data_root=f'{people}/'))
    data = dict(pose=persons, classes=[dict(inputs=torch.zeros(1, 28, 28), data_samples=sample)])
    for task, path in GOOD.items():
        cfg = Config.fromfile(CONFIGS / (f'cls/{path}' if task == 'classes' else path))
        cfg.model.mentors = cfg.model.mentors[-1:]
        (mentor,) = cfg.model.mentors
        mentor.update(config=str(CONFIGS.parent / mentor.config), checkpoint=None)
        found[task] = cfg, data[task]
    return found


def refused(cfg, dataset, path, value):
    """The error of a config with one fault, before training; None where it is taken."""
    cfg = copy.deepcopy(cfg)
    model = cfg.model.to_dict()
    if path.startswith('mentors.0.'):
        name = path.rpartition('.')[-1]
        model['mentors'][0][name] = value
        if name == 'zoo':
            del model['mentors'][0]['config'], model['mentors'][0]['checkpoint']
    else:
        model[path] = value
    try:
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            MODELS.build(model).prepare(dataset)
    except Exception as error:
        return error
    return None


def test_every_bad_config_is_refused_by_the_name_of_its_setting(good):
    silent, unnamed, kinds = [], [], Counter()
    for task, path, value, name in faults():
        error = refused(*good[task], path, value)
        kinds[type(error).__name__] += 1
        if error is None:
            silent.append((task, path, value))
        elif name not in str(error) or not isinstance(error, KINDS):
            unnamed.append((task, path, value, name, repr(error)))
    print(f'{sum(kinds.values())} bad configs: {dict(kinds)}, {len(silent)} silent')
    assert sum(kinds.values()) >= 120
    assert not silent, '\n'.join(map(str, silent))
    assert not unnamed, '\n'.join(map(str, unnamed))


def test_the_good_ones_are_taken(good):
    for cfg, dataset in good.values():
        assert refused(cfg, dataset, 'scorer', None) is None
