"""The package's configs by ``classroomkd_mm::PATH``, from a directory that has none of them."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from modelindex.load_model_index import load

from classroomkd_mm import shipped
from classroomkd_mm.commands import train
from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.registry import MODELS
from classroomkd_mm.runs import read_classroom

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_shipped_config_is_found_by_its_name_and_by_its_path():
    file = shipped.MIM / 'configs/demo/classroom.py'
    for said in ('classroomkd_mm::demo/classroom.py', 'configs/demo/classroom.py'):
        assert shipped.config_file(said) == str(file)
    assert file.read_text() == (ROOT / 'configs/demo/classroom.py').read_text()
    cfg = read_classroom('classroomkd_mm::demo/classroom.py')
    for position, mentor in enumerate(cfg.model.mentors):
        assert (shipped.MIM / mentor.config) == Path(MentorSettings.of(mentor, position).config)
    assert get_config('classroomkd_mm::demo/alone.py').model.type == 'TopdownPoseEstimator'


def test_ones_own_file_comes_before_the_shipped_one(elsewhere):
    own = elsewhere / 'configs/demo/alone.py'
    own.parent.mkdir(parents=True)
    own.write_text('')
    assert shipped.config_file('configs/demo/alone.py') == 'configs/demo/alone.py'
    assert shipped.config_file('/nowhere.py') == '/nowhere.py'


def test_a_stock_librarys_config_is_found_as_well():
    path = 'body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
    assert Path(shipped.config_file(f'mmpose::{path}')).is_file()


@pytest.mark.parametrize(
    'base',
    [
        'mmpose::_base_/default_runtime.py',
        'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py',
        'mmpretrain::_base_/default_runtime.py',
        'mmpretrain::resnet/resnet18_8xb16_cifar10.py',
    ],
)
def test_a_base_lies_where_mmengine_finds_it_which_is_asked_no_more(base, monkeypatch):
    shipped._installed.cache_clear()
    want, asked = shipped._path_and_scope(base, ''), []
    monkeypatch.setattr(shipped, '_path_and_scope', lambda *given: asked.append(given))
    for _ in range(2):
        assert shipped.path_and_scope(base, 'any.py') == want
    assert not asked


@pytest.mark.parametrize(
    'said, error, words',
    [
        ('classroomkd_mm::demo/clasroom.py', FileNotFoundError, 'did you mean demo/classroom.py'),
        ('classroomkd_mm::zzz', FileNotFoundError, 'none of the configs in .*configs$'),
        ('mmother::a/b.py', ValueError, "config='mmother::a/b.py': mmother is none of the librar"),
        ('mmseg::a/b.py', ImportError, 'mmsegmentation is not installed'),
    ],
)
def test_what_is_not_there_is_told(said, error, words):
    with pytest.raises(error, match=words):
        shipped.config_file(said)


def test_as_a_base_its_names_stay_the_stock_libraries(elsewhere):
    """MMEngine would look the student of a base of ours up in this package."""
    (elsewhere / 'own.py').write_text(
        "_base_ = ['classroomkd_mm::demo/classroom.py']\nmodel = dict(mentoring=dict(alpha=3.0))\n"
    )
    cfg = read_classroom('own.py')
    assert "_scope_='classroomkd_mm'" not in cfg.pretty_text
    assert cfg.model.mentoring.alpha == 3.0
    for mentor in cfg.model.mentors:
        mentor.checkpoint = None
    assert len(MODELS.build(cfg.model).mentors) == 3
    (elsewhere / 'stock.py').write_text("_base_ = ['mmpose::_base_/default_runtime.py']\n")
    assert Config.fromfile('stock.py').default_scope == 'mmpose'


def test_a_mentor_may_stand_beside_the_config_that_names_it(elsewhere):
    folder = elsewhere / 'project/sub'
    folder.mkdir(parents=True)
    (folder / 'mentor.py').write_text("_base_ = ['classroomkd_mm::demo/mentor_small.py']\n")
    (folder / 'classroom.py').write_text(
        "_base_ = ['classroomkd_mm::demo/classroom.py']\n"
        "model = dict(mentors=[dict(name='m', config='mentor.py', checkpoint=None)])\n"
    )
    args = train.parse_args(['project/sub/classroom.py'])
    cfg = train.merge_args(Config.fromfile(args.config), args)
    (mentor,) = MODELS.build(cfg.model).mentors
    assert mentor.config.filename == str(folder / 'mentor.py')


def test_the_model_index_lists_every_config_once(tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    for path, text in tool('make_model_index').files().items():
        assert path.read_text() == text, f'{path}: run tools/make_model_index.py'
    models = load(str(shipped.MIM / 'model-index.yml')).models
    assert sorted(m.config.removeprefix('configs/') for m in models) == shipped.names()
    assert len({model.name for model in models}) == len(models)
