"""A wrong order of a mentor's keypoint names is noticed, and no weak mentor is taken for it."""

import math

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from classroomkd_mm.analysis.check import build_classroom, check, training_set
from classroomkd_mm.datasets.synthetic_people import COCO_NAMES, make_scene
from classroomkd_mm.structures import PoseTruth, Reading
from classroomkd_mm.tasks.pose import PoseTask
from classroomkd_mm.tasks.pose.order import ENOUGH, LEAST, NEAR, KeypointOrder, in_words

K = len(COCO_NAMES)
PLACE = {name: place for place, name in enumerate(COCO_NAMES)}


def renamed(*pairs):
    """A mentor's names in COCO's order, these exchanged."""
    names = list(COCO_NAMES)
    for a, b in pairs:
        names[PLACE[a]], names[PLACE[b]] = b, a
    return names


MIRRORED = renamed(*((n, n.replace('left', 'right')) for n in COCO_NAMES if n.startswith('left')))
KNEES = renamed(*((f'{side}_knee', f'{side}_ankle') for side in ('left', 'right')))
SHIFTED = [*COCO_NAMES[2:], *COCO_NAMES[:2]]
HIPS = renamed(*((f'{side}_shoulder', f'{side}_hip') for side in ('left', 'right')))


@pytest.fixture(scope='module')
def drawn():
    """Truth of 60 drawn people, some keypoints unlabelled."""
    scenes = [make_scene(np.random.default_rng(i), (128, 160)) for i in range(60)]
    keypoints = torch.tensor([[[*scene.points[n]] for n in COCO_NAMES] for scene in scenes])
    labelled = torch.rand(60, K, generator=torch.Generator().manual_seed(0)) < 0.9
    return PoseTruth(keypoints.float(), labelled)


def said(guess, names):
    """What is read of a mentor whose outputs are COCO's in COCO's order, when they are named so."""
    return guess[:, [names.index(name) for name in COCO_NAMES]]


def order_of(guess, truth, batch=16):
    order = KeypointOrder()
    for i in range(0, len(guess), batch):
        part = PoseTruth(truth.keypoints[i : i + batch], truth.labelled[i : i + batch])
        order.add(dict(m=guess[i : i + batch]), part)
    return order


def off(truth, share):
    """Guesses that are off by this share of a person's size, on average."""
    size = (truth.keypoints.amax(1) - truth.keypoints.amin(1)).norm(dim=-1)
    noise = torch.randn(truth.keypoints.shape, generator=torch.Generator().manual_seed(1))
    return truth.keypoints + noise * (share * size / math.sqrt(math.pi / 2))[:, None, None]


def wrong_of(names):
    """(what it is named, what it is), as far as the names are wrong."""
    return {(PLACE[name], real) for real, name in enumerate(names) if PLACE[name] != real}


@pytest.mark.parametrize(
    'names', [MIRRORED, HIPS, KNEES, SHIFTED], ids=['mirrored', 'hips', 'knees', 'shifted']
)
@pytest.mark.parametrize('share', [0.0, 0.05])
def test_names_in_a_wrong_order_are_told(drawn, names, share):
    found = order_of(said(off(drawn, share), names), drawn).exchanged('m')
    assert len(found) >= 4 and set(found) <= wrong_of(names)


@pytest.mark.parametrize('names', [MIRRORED, HIPS, KNEES, SHIFTED])
def test_people_whom_the_mentor_does_not_find_hide_nothing(drawn, names):
    """Two of three: what is far off says nothing of the order."""
    guess = said(off(drawn, 0.05), names)
    guess[torch.arange(len(guess)) % 3 > 0] += 1000
    found = order_of(guess, drawn).exchanged('m')
    assert len(found) >= 4 and set(found) <= wrong_of(names)


def test_a_sample_alone_says_nothing(drawn):
    """There is no other to compare it with."""
    assert order_of(said(drawn.keypoints, MIRRORED), drawn, batch=1).exchanged('m') == []
    assert order_of(said(drawn.keypoints, MIRRORED), drawn, batch=2).exchanged('m')


@pytest.mark.parametrize('share', [0.0, 0.05, 0.1, 0.2, 0.5])
def test_a_right_mentor_is_not_doubted_however_weak(drawn, share):
    assert order_of(off(drawn, share), drawn).exchanged('m') == []


@pytest.mark.parametrize('seed', range(20))
def test_a_random_network_is_not_doubted(drawn, seed):
    """It says one place for each keypoint, or any; or the middle of where all people have it."""
    generator = torch.Generator().manual_seed(seed)
    low, high = drawn.keypoints.amin((0, 1)), drawn.keypoints.amax((0, 1))
    shape = (1, K, 2) if seed % 2 else (60, K, 2)
    anywhere = low + (high - low) * torch.rand(shape, generator=generator)
    assert order_of(anywhere.expand(60, K, 2), drawn).exchanged('m') == []
    middle = drawn.keypoints.mean(0, keepdim=True).expand(60, K, 2)
    mixed = middle[:, torch.randperm(K, generator=generator)]
    assert order_of(mixed, drawn).exchanged('m') == []


def test_a_partial_mentor_is_judged_by_what_it_has(drawn):
    parts = ('shoulder', 'hip', 'knee')
    known = torch.tensor([name.split('_')[-1] in parts for name in COCO_NAMES])
    assert order_of(drawn.keypoints, drawn).exchanged('m', known) == []
    guess = said(drawn.keypoints, HIPS)
    guess[:, ~known] = 0  # whatever stands there
    assert set(order_of(guess, drawn).exchanged('m', known)) == wrong_of(HIPS)


def test_keypoints_that_nobody_has_labelled_are_no_candidates(drawn):
    labelled = drawn.labelled.clone()
    labelled[:, [PLACE['nose'], PLACE['left_ear']]] = False
    some = PoseTruth(drawn.keypoints, labelled)
    assert set(order_of(said(drawn.keypoints, HIPS), some).exchanged('m')) == wrong_of(HIPS)


def test_what_a_partial_mentor_lacks_is_not_looked_at(drawn):
    """Not even where it stands at another's place; and one alone is not told."""
    known = torch.tensor([not name.endswith('hip') for name in COCO_NAMES])
    found = order_of(said(drawn.keypoints, HIPS), drawn).exchanged('m', known)
    assert {COCO_NAMES[named] for named, _ in found} == {'left_shoulder', 'right_shoulder'}
    one = renamed(('nose', 'left_ankle'))
    assert len(order_of(said(drawn.keypoints, one), drawn).exchanged('m')) == 2
    known = torch.tensor([name != 'nose' for name in COCO_NAMES])
    assert order_of(said(drawn.keypoints, one), drawn).exchanged('m', known) == []


def exchanged(own, real, chance=0.0, count=100):
    """Of two keypoints so often at their own labels, at each other's, and at other samples'."""
    order, eye = KeypointOrder(), torch.eye(2)
    at = own * eye + real * (1 - eye)
    order._sums = {None: torch.tensor([count, count])}
    order._sums['m'] = (torch.stack([at, torch.full((2, 2), chance)]) * count).round().long()
    return order.exchanged('m')


@pytest.mark.parametrize(
    'own, real, chance, count, told',
    [
        (0.0, 0.16, 0.0, 100, True), (0.0, 0.14, 0.0, 100, False),  # a share that is seen
        (0.2, 0.5, 0.34, 100, True), (0.2, 0.5, 0.36, 100, False),  # not where others are as well
        (0.5, 0.76, 0.0, 1000, True), (0.5, 0.74, 0.0, 1000, False),  # half as often again
        (0.5, 0.76, 0.0, 100, False), (0.2, 0.5, 0.0, 60, False), (0.2, 0.5, 0.0, 90, True),
        (0.6, 0.3, 0.0, 1000, False),
    ],
)  # fmt: skip
def test_another_keypoint_must_be_seen_and_clearly_more_often(own, real, chance, count, told):
    assert exchanged(own, real, chance, count) == ([(0, 1), (1, 0)] if told else [])


def faces(jitter, count=240, points=98):
    """Truth of faces that are nearly aligned: each keypoint's neighbours are within reach."""
    draw = torch.Generator().manual_seed(0)
    base = torch.rand(points, 2, generator=draw) * 60 - 30
    angle, scale, shift = (torch.randn(count, generator=draw) * jitter for _ in range(3))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    keypoints = base @ turn * (1 + scale / 2)[:, None, None] + 60 * shift[:, None, None] + 100
    return PoseTruth(keypoints, torch.ones(count, points, dtype=torch.bool))


@pytest.mark.parametrize('count', [64, 240])
@pytest.mark.parametrize('share', [0.0, 0.03, 0.1, 0.2])
@pytest.mark.parametrize('jitter', [0.05, 0.1, 0.3])
def test_dense_keypoints_of_aligned_faces_are_not_doubted(jitter, share, count):
    """At another sample's label they are nearly as often as at their own."""
    truth = faces(jitter, count)
    guess = off(truth, share)
    assert order_of(guess, truth, batch=64).exchanged('m') == []
    if share < 0.1:
        assert len(order_of(guess.flip(1), truth, batch=64).exchanged('m')) > 40


def test_in_words_six_are_named_and_the_others_counted():
    found = [(i, i + 1) for i in range(8)]
    one = 'nose where 1 is labelled'
    assert in_words(found[:1], {0: 'nose'}) == one
    assert in_words([(1, 0)], {0: 'nose'}) == '1 where nose is labelled'
    six = [f'{i} where {i + 1} is labelled' for i in range(6)]
    assert in_words(found[:6], {}) == ', '.join(six)
    assert in_words(found, {}) == ', '.join(six) + ' and 2 more'


def test_too_few_labels_say_nothing(drawn):
    few = PoseTruth(drawn.keypoints, torch.zeros_like(drawn.labelled))
    few.labelled[: LEAST - 1] = True
    assert order_of(said(drawn.keypoints, MIRRORED), few).exchanged('m') == []
    few.labelled[LEAST - 1] = True
    assert order_of(said(drawn.keypoints, MIRRORED), few).exchanged('m')
    assert KeypointOrder().exchanged('m') == []


def test_what_is_seen_is_that_of_a_plain_loop(drawn):
    guess = off(drawn, 0.1)
    guess[3, 4] = float('nan')
    guess[5] += 1e6
    order = order_of(guess, drawn, batch=20)
    for j, k in [(0, 0), (4, 4), (5, 9), (16, 2)]:
        total, count = torch.zeros(2, dtype=torch.long), 0
        for n in range(60):
            there = drawn.keypoints[n][drawn.labelled[n]].tolist()
            size = math.hypot(*(max(axis) - min(axis) for axis in zip(*there)))
            if drawn.labelled[n, k]:
                where = drawn.keypoints[n, k].tolist()
                other = n // 20 * 20 + (n - 10) % 20
                own, others = (math.dist(guess[i, j].tolist(), where) for i in (n, other))
                total += torch.tensor([own < NEAR * size, others < NEAR * size])
                count += 1
        assert order._sums[None][k] == count
        assert torch.equal(order._sums['m'][:, j, k], total)


def test_small_people_and_blank_samples_do_not_count(drawn):
    labelled = drawn.labelled.clone()
    labelled[::2] = False
    tiny = drawn.keypoints.clone()
    tiny[1::4] *= 0.01
    order = order_of(tiny, PoseTruth(tiny, labelled))
    assert order.samples == 60 and order._sums[None].max() <= 15
    assert torch.isfinite(order._sums['m']).all()


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lines.append)
    return lines


def test_a_training_warns_once(demo_config, drawn, logged):
    cfg = demo_config('classroom')
    network = demo_config('mentor_small').model
    cfg.model.mentors = [
        dict(name=name, config=network, checkpoint=None, keypoints=names)
        for name, names in [('right', list(COCO_NAMES)), ('mirrored', MIRRORED), ('hips', HIPS)]
    ]
    model = build_classroom(cfg)
    model.prepare(training_set(cfg, 'a test'))
    bridges = [bridge for _, bridge in model.members]
    guesses = [said(drawn.keypoints, names) for names in (list(COCO_NAMES), MIRRORED, HIPS)]
    readings = [Reading(guess, ()) for guess in (drawn.keypoints, *guesses)]
    logged.clear()
    for seen in range(60, 2 * ENOUGH, 60):
        model.task.watch(readings, bridges, drawn)
        assert len(logged) == (0 if seen < ENOUGH else 2)
    mirrored, hips = logged
    assert mirrored.startswith(
        "mentors[1].keypoints of mentor 'mirrored': on the first 240 samples it sees left_ear "
        'where right_ear is labelled, right_ear where left_ear'
    )
    assert ' more: its names (those of its config, where' in mirrored
    assert 'are in another order than its outputs, or it is shown something else' in mirrored
    assert "mentors[2].keypoints of mentor 'hips'" in hips and 'left_hip where left_sh' in hips
    assert model.task.order.samples == 240  # then it has ended


def test_a_training_of_few_labels_looks_later(drawn):
    few = PoseTruth(drawn.keypoints, torch.zeros_like(drawn.labelled))
    few.labelled[:5] = True
    order, looks = KeypointOrder(), []
    for _ in range(20):
        order.add({}, few)
        looks.append(order.is_due())
    assert looks.index(True) == 13 and sum(looks) == 1  # of 840 samples 70 have labels


def test_check_says_whose_names_are_wrong(demo_config, people, monkeypatch):
    """Of mentors that see perfectly."""
    cfg = demo_config('classroom')
    network = demo_config('mentor_small').model.to_dict()
    entries = [
        dict(name=name, config=network, checkpoint=None, keypoints=names)
        for name, names in [('right', list(COCO_NAMES)), ('hips', HIPS)]
    ]
    monkeypatch.setattr('classroomkd_mm.tasks.pose.order.LEAST', 20)
    watch = PoseTask.watch

    def seeing(task, readings, bridges, truth):
        sees = [Reading(said(truth.keypoints, list(b.keypoints.names)), ()) for b in bridges]
        watch(task, [readings[0], *sees], bridges, truth)

    monkeypatch.setattr(PoseTask, 'watch', seeing)
    (_, right, hips) = check(cfg, entries, batch=24)
    assert right[:2] == ['right', 'yes']
    assert hips[:2] == ['hips', 'NO'] and 'mentors[1].keypoints: on the first' in hips[-1]
