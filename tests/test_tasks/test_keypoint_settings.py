"""A mentor's ``keypoints``, in each form that it may have, and what is refused."""

import json
import re
from dataclasses import asdict

import pytest

from classroomkd_mm.tasks.pose.keypoints import (
    Keypoints,
    Mean,
    canonical,
    join_keypoints,
    names_in_config,
    names_of,
    spelled,
)

MPII = dict(
    test_dataloader=dict(dataset=dict(metainfo=dict(from_file='configs/_base_/datasets/mpii.py')))
)
OURS = ['nose', 'left_hip', 'right_hip', 'pelvis']
METAINFO = dict(keypoint_id2name=dict(enumerate(OURS)), dataset_name='mine')


def says(words):
    return pytest.raises(ValueError, match=f'^{re.escape(words)}$')


def of(setting, config=MPII, count=16):
    return Keypoints.of(setting, config, count, "mentor 'm'")


def test_without_a_setting_they_are_its_data_sets_or_the_students():
    found = of(None)
    assert (len(found.names), found.names[0], found.data_set) == (16, 'right_ankle', 'mpii')
    assert (found.renamed, found.midpoints, found.pairs) == ({}, (), None)
    assert of(None, {}) == of({}, {}) == of([], {}) == Keypoints()
    assert Keypoints().join(METAINFO, 4) is None


def test_names_are_its_own_whatever_its_data_set_is():
    found = of(['pelvis', 'nose', 'tail', 'left_hip'], dict(MPII, test_dataloader='broken'))
    assert found == Keypoints(('pelvis', 'nose', 'tail', 'left_hip'))
    assert found.join(METAINFO, 4) == ([1, 3, 0, 0], [True, True, False, True])
    assert of(OURS).join(METAINFO, 4) is None


def test_some_may_have_another_name_or_be_the_middle_of_two():
    names = ['head_top', 'left_hip', 'right_hip', 'right_knee']
    found = of({'head_top': 'nose', ('left_hip', 'right_hip'): 'pelvis'})
    assert found.names == of(None).names and found.data_set == 'mpii'
    assert found.renamed == {'head_top': 'nose'}
    assert found.midpoints == ((('left_hip', 'right_hip'), 'pelvis'),)
    place = {name: i for i, name in enumerate(found.names)}
    hips = Mean(place['left_hip'], place['right_hip'])
    want = [place['head_top'], place['left_hip'], place['right_hip'], hips]
    assert found.join(METAINFO, 4) == (want, [True] * 4)
    assert join_keypoints(names, ['head_top'], {'head_top': 'nose'}) == ([0], [False])
    given = Keypoints(tuple(OURS), renamed={'nose': 'pelvis', 'pelvis': 'nose'})
    assert given.join(METAINFO, 4) == ([3, 1, 2, 0], [True] * 4)


def test_places_need_no_names():
    found = of([(3, 0), [[1, 2], 3], ((5, 4), 1)])
    assert found == Keypoints(pairs=((3, 0), ((1, 2), 3), ((5, 4), 1)))
    assert found.join({}, 4) == ([3, Mean(5, 4), 0, Mean(1, 2)], [True, True, False, True])
    assert of([(0, 5)]).join({}, 4) == ([0] * 4, [False] * 4)


@pytest.mark.parametrize(
    'found',
    [
        Keypoints(),
        Keypoints(tuple(OURS), 'coco', dict(nose='head'), ((('a', 'b'), 'c'), (('d', 'e'), 'f'))),
        Keypoints(pairs=((3, 0), ((1, 2), 3))),
    ],
)
def test_they_are_kept_as_json(found):
    plain = json.loads(json.dumps(asdict(found)))
    assert Keypoints.from_plain(plain) == found
    before = {key: value for key, value in plain.items() if key != 'midpoints'}
    assert Keypoints.from_plain(before).midpoints == ()


PAIRS = (
    "mentor 'm': keypoints must be names, {{its name: ours}} or pairs of (its place, our place), "
    'its places below 16 (two where ours is in their middle) and each of ours once; got {}'
)


@pytest.mark.parametrize(
    'setting',
    [
        [(16, 0)], [(-1, 0)], [(0, -1)], [(0, 1), (2, 1)], [(0, 1, 2)], [(0,)], [([0, 0], 1)],
        [([0, 1, 2], 1)], [([0, 16], 1)], [([-1, 3], 1)],
    ],
)  # fmt: skip
def test_places_that_it_does_not_have_are_refused_in_full(setting):
    with says(PAIRS.format(setting)):
        of(setting)


def test_the_first_and_the_last_place_are_there():
    assert of([(0, 0), (15, 1)]).pairs == ((0, 0), (15, 1))
    assert of([([0, 15], 0)]).pairs == (((0, 15), 0),)


@pytest.mark.parametrize(
    'setting',
    [
        {'tail': 'nose'},
        {('left_hip', 'tail'): 'pelvis'},
        {('left_hip', 'left_hip'): 'pelvis'},
        {('left_hip', 'right_hip', 'pelvis'): 'pelvis'},
        {'left_hip': 'nose', 'right_hip': 'nose'},
    ],
)
def test_names_that_it_does_not_have_are_refused_in_full(setting):
    own = list(of(None).names)
    told = (
        "mentor 'm': keypoints={its name: ours} must name some of the mentor's keypoints "
        f'{own} (or two, for their middle), each for another of ours; got {setting}'
    )
    with says(told):
        of(setting)
    with says(told.replace(str(own), '[]')):
        of(setting, {})


@pytest.mark.parametrize(
    'twice', [['nose', 'nose'], ['left_hip', 'L_Hip'], ['left_hip', 'hip_left'], ['hip', 'Root']]
)
def test_a_name_of_ours_that_is_there_twice_is_refused(twice):
    """In any spelling: one of the two would be read, whichever stands last."""
    with says(f"keypoints=[...] names {twice}: which of them is the data set's?"):
        of([*twice, 'x', 'x']).join(METAINFO, 4)


def test_other_names_may_be_there_twice_and_ours_as_they_are():
    both = dict(keypoint_id2name={0: 'hip', 1: 'root'}, dataset_name='mine')
    assert of(['hip', 'root']).join(both, 2) is None
    index, known = of(['x', 'x', '1', '1', 'nose']).join(METAINFO, 4)
    assert known == [name == 'nose' for name in OURS] and index[OURS.index('nose')] == 4


def test_names_that_we_do_not_have_are_refused_with_the_nearest():
    told = "keypoints={its name: ours}: the data set has no keypoint 'left_hips'; did you mean "
    with says(told + 'left_hip?'):
        of({'head_top': 'left_hips'}).join(METAINFO, 4)
    with says(f"keypoints={{its name: ours}}: the data set has no keypoint 'zzz'; it has {OURS}"):
        of({('left_hip', 'right_hip'): 'zzz'}).join(METAINFO, 4)


def test_the_names_that_a_config_says():
    assert names_in_config(MPII) == list(of(None).names)
    assert names_in_config({}) is None


def test_a_data_set_without_names_is_refused_in_full():
    with says(
        "the data set's metainfo names no keypoints, and mentors' are joined by name: give it one "
        '(metainfo=dict(from_file=...))'
    ):
        names_of(dict(dataset_name='mine'))
    assert names_of(METAINFO) == OURS


@pytest.mark.parametrize(
    'name, data_set, same',
    [
        ('Left Eye', None, 'left_eye'),
        ('Eye_Left', None, 'left_eye'),
        ('R_Elbow', None, 'right_elbow'),
        ('left_index_2', None, 'left_forefinger2'),
        ('thumb3', None, 'thumb3'),
        ('pinky4', None, 'pinky_finger4'),
        ('top_head', None, 'head_top'),
        ('left_front_paw', None, 'left_f_paw'),
        ('front_paw', None, 'front_paw'),
        ('left_head', None, 'left_head'),
        ('neck', None, 'upper_neck'),
        ('neck', 'coco_openpose', 'shoulders'),
        ('left_foot', 'h36m', 'left_ankle'),
        ('left_foot', 'coco', 'left_foot'),
        ('kpt-12', None, None),
        ('keypoint_3', None, None),
        ('7', None, None),
        ('kpt', None, 'kpt'),
    ],
)
def test_names_in_one_spelling(name, data_set, same):
    assert canonical(name, data_set) == same


def test_a_set_with_a_name_and_its_alias_means_two_points():
    assert spelled(['neck', 'upper_neck', 'head']) == ['neck', 'upper_neck', 'head_top']
    assert spelled(['wrist', 'kpt-1']) == ['hand_root', None]


@pytest.mark.parametrize(
    'names, numbered',
    [
        (None, False),
        (('nose',), False),
        (('1', '2', 'nose'), True),
        (('1', 'nose'), False),
        (('1',), True),
    ],
)
def test_most_names_may_be_numbers(names, numbered):
    assert Keypoints(names).numbered is numbered


def test_the_same_numbers_are_the_same_points_within_one_data_set_alone():
    meta = dict(keypoint_id2name={0: 'kpt-0', 1: 'kpt-1'}, dataset_name='mine')
    for data_set in ('mine', None):
        assert Keypoints(('kpt-0', 'kpt-1'), data_set).join(meta, 2) is None
    assert Keypoints(('kpt-0', 'kpt-1'), 'other').join(meta, 2) == ([0, 0], [False, False])
    assert Keypoints(tuple(OURS), 'other').join(METAINFO, 4) is None
