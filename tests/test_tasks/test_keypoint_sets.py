"""Keypoints of MMPose's own data sets: which are the same points under other names."""

from pathlib import Path

import mmpose
import pytest
from mmengine.config import Config
from mmpose.registry import DATASETS

from classroomkd_mm.tasks.pose.keypoints import (
    Either,
    Keypoints,
    canonical,
    join_keypoints,
    names_of,
    published_metainfo,
    spelled,
)

CONFIGS = Path(mmpose.__file__).parent / '.mim/configs'


def keypoints_of(data_set):
    meta = published_metainfo(data_set)
    return Keypoints(tuple(names_of(meta)), meta['dataset_name']), meta


def shared(theirs, ours):
    """How many of our keypoints a mentor of another set has."""
    mentor, _ = keypoints_of(theirs)
    _, meta = keypoints_of(ours)
    found = mentor.join(meta, len(names_of(meta)))
    return None if found is None else sum(found[1])


@pytest.mark.parametrize(
    'theirs, ours, count',
    [
        # Bodies: 12 joints of limbs, and what each has of the head and the trunk.
        ('coco', 'halpe26', 17),  # all of COCO
        ('halpe26', 'coco', 17),
        ('aic', 'halpe26', 14),  # top of the head, neck
        ('crowdpose', 'halpe26', 14),
        ('exlpose', 'crowdpose', 14),
        ('jhmdb', 'halpe26', 14),  # not the belly
        ('mpii', 'halpe26', 15),  # and the pelvis; not the thorax
        ('mhp', 'mpii', None),  # the same list
        ('mpii', 'aic', 14),
        ('posetrack18', 'coco', 15),  # no eyes
        ('posetrack18', 'mpii', 14),  # bottom of the head is the upper neck
        ('campus', 'posetrack18', 14),
        ('shelf', 'crowdpose', 14),
        ('coco', 'aic', 12),
        ('coco', 'coco_openpose', 17),
        ('aic', 'coco_openpose', 12),  # whose neck is the middle of the shoulders
        ('coco_wholebody_openpose', 'coco_openpose', 18),
        ('coco', 'humanart21', 17),  # its toes and fingers are of no other set
        ('h36m', 'mpii', 15),  # feet are ankles, root the pelvis; all but the upper neck
        ('mpi_inf_3dhp', 'halpe26', 15),  # top of the head, neck, pelvis; its head is its own
        ('halpe26', 'mpi_inf_3dhp', 15),
        ('panoptic_body3d', 'halpe26', 19),
        ('mpii_trb', 'crowdpose', 14),
        # Feet
        ('coco_wholebody', 'halpe26', 23),
        ('halpe26', 'coco_wholebody', 23),
        ('ubody3d', 'halpe26', 25),  # all but the top of the head
        # Whole bodies: 17 + 6 + 68 + 42
        ('halpe', 'coco_wholebody', 133),
        ('ubody2d', 'coco_wholebody', None),
        ('coco_wholebody_openpose', 'coco_wholebody', 133),
        ('ubody3d', 'coco_wholebody', 63),  # no hand roots, and 72 other points of the face
        # Hands: of one, left or right; of both
        ('onehand10k', 'coco_wholebody_hand', None),
        ('interhand2d', 'onehand10k', 21),
        ('rhd2d', 'freihand2d', 21),
        ('panoptic_hand2d', 'interhand2d', 21),
        ('coco_wholebody', 'onehand10k', 21),  # of the hand that it is surer of
        ('halpe', 'coco_wholebody_hand', 21),
        ('interhand3d', 'freihand2d', 21),
        ('ubody3d', 'onehand10k', 20),
        ('interhand3d', 'coco_wholebody', 42),  # its wrists are the hands' roots
        ('coco_wholebody', 'interhand3d', 42),
        ('onehand10k', 'coco_wholebody', 0),  # which hand is not known
        ('coco', 'onehand10k', 0),
        # Faces: numbers that mean the same in COCO-WholeBody's own sets alone
        ('coco_wholebody', 'coco_wholebody_face', 68),
        ('halpe', 'coco_wholebody_face', 68),
        ('coco_wholebody_face', 'coco_wholebody', 68),
        ('300w', 'coco_wholebody_face', 0),
        ('ubody3d', 'coco_wholebody_face', 0),
        ('wflw', '300w', 0),
        # Animals
        ('animalpose', 'ap10k', 10),  # eyes, nose, root of the tail, elbows, paws, not the knees
        ('atrw', 'ap10k', 12),  # all but ears and its middle
        ('ak', 'ap10k', 11),
        ('zebra', 'animalpose', 1),  # root of the tail
        # Clothes
        ('deepfashion_full', 'deepfashion_upper', 6),
        ('deepfashion_lower', 'deepfashion_full', 4),
    ],
)  # fmt: skip
def test_what_two_sets_share(theirs, ours, count):
    assert shared(theirs, ours) == count


def test_no_set_has_a_point_twice():
    """An alias that a set has a point of its own for would join two points with one."""
    files = sorted((CONFIGS / '_base_/datasets').glob('*.py'))
    assert len(files) > 45
    for file in files:
        mentor, _ = keypoints_of(file.stem)
        same = [name for name in spelled(mentor.names, mentor.data_set) if name is not None]
        assert len(set(same)) == len(same), file.stem


def conversions():
    """MMPose's own: each KeypointConverter of its mixed training sets, by names."""
    found = {}
    for file in sorted(CONFIGS.glob('**/*.py')):
        if 'KeypointConverter' not in file.read_text():
            continue
        dataset = Config.fromfile(file).train_dataloader.dataset
        ours = Path(dataset.get('metainfo', {}).get('from_file', '')).stem
        for part in dataset.get('datasets', ()):
            part = part.get('dataset', part)  # repeated
            meta = part.get('metainfo') or getattr(DATASETS.get(part.type), 'METAINFO', {})
            theirs = Path(meta.get('from_file', '')).stem
            for step in part.get('pipeline', ()):
                if step.type == 'KeypointConverter' and theirs and ours:
                    found.setdefault((theirs, ours), set()).update(
                        pair for pair in map(tuple, step.mapping) if isinstance(pair[0], int)
                    )
    return found


def test_mmposes_own_conversions_agree():
    """Where it maps a body's or a hand's keypoint to one that we join, we join the same two."""
    checked = 0
    for (theirs, ours), pairs in conversions().items():
        mentor, _ = keypoints_of(theirs)
        _, meta = keypoints_of(ours)
        if mentor.numbered or any(canonical(name) is None for name in names_of(meta)):
            continue
        found = mentor.join(meta, len(names_of(meta)))
        for its, place in pairs if found else ():
            name = (mentor.names[its], names_of(meta)[place])
            if name == ('thorax', 'neck'):  # elsewhere it takes the upper neck
                continue
            assert found[1][place] and found[0][place] == its, (theirs, ours, *name)
            checked += 1
    assert checked > 200


def test_a_hand_of_either_side_is_both_hands():
    theirs, ours = ['left_thumb1', 'right_thumb1', 'left_eye', 'right_eye'], ['thumb1', 'eye']
    index, known = join_keypoints(theirs, ours)
    assert index[0] == Either(0, 1) and known == [True, False]
