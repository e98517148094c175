"""Keypoint sets, joined by name, by what the user says, or by place."""

import pytest

from classroomkd_mm.registry import MODELS
from classroomkd_mm.tasks.pose.keypoints import (
    Keypoints,
    canonical,
    join_keypoints,
    published_metainfo,
)

COCO = published_metainfo('coco')
NO_CONFIG = {}


def config(data_set):
    meta = dict(from_file=f'configs/_base_/datasets/{data_set}.py')
    return dict(train_dataloader=dict(dataset=dict(metainfo=meta)))


def known_by(keypoints, metainfo):
    found = keypoints.join(metainfo, len(metainfo['keypoint_id2name']))
    return None if found is None else sum(found[1])


@pytest.mark.parametrize(
    'name, same',
    [
        ('L_Eye', 'left_eye'), ('R_B_Paw', 'right_b_paw'), ('Eye_Left', 'left_eye'),
        ('left collar', 'left_collar'), ('Nose', 'nose'), ('top_head', 'head_top'),
        ('kpt-12', None), ('12', None), ('kpt_3', None), ('face-12', 'face-12'),
    ],
)  # fmt: skip
def test_one_spelling(name, same):
    assert canonical(name) == same


def test_animal_sets_are_joined_by_their_left_and_right():
    theirs = Keypoints.of(None, config('animalpose'), 20, 'm')
    ours = published_metainfo('ap10k')
    index, known = theirs.join(ours, 17)
    names = ours['keypoint_id2name']
    assert {'L_Eye', 'R_Eye', 'Nose', 'L_B_Paw'} <= {names[k] for k in range(17) if known[k]}
    for k in range(17):
        if known[k]:
            assert canonical(theirs.names[index[k]]) == canonical(names[k])


@pytest.mark.parametrize('data_set', ['300w', 'wflw', 'cofw', 'aflw', 'lapa', '300vw', '300wlp'])
def test_numbers_are_no_names(data_set):
    """The same numbers are the same points within one data set alone."""
    meta = published_metainfo(data_set)
    count = len(meta['keypoint_id2name'])
    own = Keypoints.of(None, config(data_set), count, 'm')
    assert own.numbered and known_by(own, meta) is None
    for other in {'300w', 'wflw', '300vw'} - {data_set}:
        assert known_by(own, published_metainfo(other)) == 0
    said = Keypoints.of([meta['keypoint_id2name'][i] for i in range(count)], NO_CONFIG, count, 'm')
    assert known_by(said, meta) is None  # a list that is ours to the letter is taken at its word


def test_names_may_be_given_for_some():
    theirs = Keypoints.of({'kpt-0': 'left_ear', 'kpt-16': 'right_ear'}, config('300w'), 68, 'm')
    index, known = theirs.join(COCO, 17)
    assert [index[k] for k in range(17) if known[k]] == [0, 16] and known[3] and known[4]
    mixed = Keypoints.of({'head_top': 'nose'}, config('mpii'), 16, 'm')
    index, known = mixed.join(COCO, 17)
    assert known[0] and index[0] == 9 and sum(known) == 13  # the others by their names


def test_pairs_of_places_whatever_the_names():
    pairs = Keypoints.of([(3, 0), [1, 16]], NO_CONFIG, 4, 'm')
    index, known = pairs.join({}, 17)
    assert (index[0], index[16]) == (3, 1) and [k for k in range(17) if known[k]] == [0, 16]


def test_our_places_that_the_student_does_not_have_are_refused(demo_config):
    """Counted from 1 each keypoint would be taught as its neighbour."""
    cfg = demo_config('classroom').model
    cfg.mentors[0].keypoints = [(i, i + 1) for i in range(17)]
    told = r"mentor 'large': keypoints names our places \[17\], and the student has 17, which"
    with pytest.raises(ValueError, match=told):
        MODELS.build(cfg)


@pytest.mark.parametrize(
    'setting, message',
    [
        ({'kpt-99': 'nose'}, 'must name some of the mentor'),
        ({'kpt-0': 'nose', 'kpt-1': 'nose'}, 'each for another of ours'),
        ([(68, 0)], 'its places below 68'),
        ([(0, 1), (2, 1)], 'each of ours once'),
        ([(0, 1, 2)], 'pairs of .its place, our place.'),
    ],
)
def test_wrong_places_and_names_are_refused(setting, message):
    with pytest.raises(ValueError, match=f'mentor m: keypoints.*{message}'):
        Keypoints.of(setting, config('300w'), 68, 'mentor m')


def test_a_renamed_point_goes_before_one_of_that_name():
    index, known = join_keypoints(['a', 'nose', 'b'], ['nose', 'b'], {'a': 'nose'})
    assert index == [0, 2] and known == [True, True]


def test_a_small_object_needs_no_five_shared_points(demo_config):
    from dataclasses import replace

    from classroomkd_mm.registry import MODELS

    cfg = demo_config('classroom').model
    names = ['left waistline', 'right waistline', 'left hem', 'right hem']
    theirs = demo_config('mentor_small').model.to_dict()
    theirs['head']['out_channels'] = 4
    cfg.mentors = [dict(name='m', config=theirs, checkpoint=None, keypoints=names)]
    ((_, bridge),) = MODELS.build(cfg).members
    ours = dict(keypoint_id2name=dict(enumerate(names[::-1])))
    assert replace(bridge, count=4).joined(ours).known.all()
    faces = replace(bridge, count=4, keypoints=Keypoints(('1', '2', '3', '4'), 'wflw'))
    with pytest.raises(ValueError, match="shares 0 of the 4 .*numbered, not named, and of 'wflw'"):
        faces.joined(ours)
