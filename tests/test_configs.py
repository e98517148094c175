"""Every config's student builds, and every mentor is what the zoo's index says it is."""

from pathlib import Path

import mmpose
import pytest
import yaml
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS

CONFIGS = Path(__file__).parents[1] / 'configs'
POSE = sorted(p for data in ('coco', 'mpii') for p in (CONFIGS / 'pose' / data).glob('*.py'))
MIM = Path(mmpose.__file__).parent / '.mim'


@pytest.fixture(scope='module')
def published():
    """The zoo's index: weights' URL by config."""
    index = {}
    for data_set in ('coco', 'mpii'):
        folder = MIM / 'configs/body_2d_keypoint/topdown_heatmap' / data_set
        for file in folder.glob('*.yml'):
            for entry in yaml.safe_load(file.read_text())['Models']:
                index[entry['Config'].replace('configs/', 'mmpose::', 1)] = entry['Weights']
    return index


@pytest.mark.parametrize('path', POSE, ids=lambda p: p.stem)
def test_the_student_builds_and_the_mentors_are_the_zoos(path, published):
    cfg = Config.fromfile(path)
    student = cfg.model.get('student', cfg.model)
    student.backbone.pop('init_cfg', None)
    built = MODELS.build(student)
    for mentor in cfg.model.get('mentors', []):
        assert mentor.checkpoint == published[mentor.config]
        network = get_config(mentor.config).model
        assert network.head.out_channels == built.head.out_channels
        assert network.head.decoder.input_size == student.head.decoder.input_size


@pytest.mark.parametrize(
    'path', [p for p in POSE if p.stem.startswith('classroom')], ids=lambda p: p.stem
)
def test_the_four_variants_differ_in_the_lesson_alone(path):
    classroom, plain, kd, aver = (
        Config.fromfile(path.with_name(path.name.replace('classroom', kind, 1)))
        for kind in ('classroom', 'plain', 'kd', 'aver')
    )
    assert classroom.model.student == plain.model == aver.model.student == kd.model.student
    assert len(kd.model.mentors) == 1 and kd.model.mentors[0] == aver.model.mentors[0]
    assert classroom.model.mentors == aver.model.mentors and len(aver.model.mentors) >= 3
    for cfg in (plain, kd, aver):
        assert cfg.train_dataloader == classroom.train_dataloader
        assert cfg.train_cfg == classroom.train_cfg and cfg.optim_wrapper == classroom.optim_wrapper


def test_a_whole_classroom_of_the_zoo_builds():
    from classroomkd_mm.registry import MODELS as OURS

    cfg = Config.fromfile(CONFIGS / 'pose/coco/classroom_res50_8xb64-210e_coco-256x192.py').model
    cfg.student.backbone.pop('init_cfg', None)
    for mentor in cfg.mentors:
        mentor.checkpoint = None
    assert [m.name for m in OURS.build(cfg).mentors] == [
        'hrnet-w48',
        'hrnet-w32',
        'res152',
        'res101',
    ]
