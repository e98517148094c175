"""Mentors' files beside the config that names them."""

import pytest
from mmengine.config import Config

from classroomkd_mm.analysis.check import check
from classroomkd_mm.commands import train
from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.registry import MODELS
from classroomkd_mm.runs import with_mentor_folder


@pytest.fixture
def classroom(demo_config, tmp_path, monkeypatch):
    """A classroom's config, its mentor's config beside it, the working directory elsewhere."""
    folder = tmp_path / 'project'
    folder.mkdir()
    demo_config('mentor_small').dump(str(folder / 'teacher.py'))
    cfg = demo_config('classroom')
    cfg.model.mentors = [dict(name='m', config='teacher.py', checkpoint=None)]
    cfg.dump(str(folder / 'classroom.py'))
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    return folder / 'classroom.py'


def test_a_mentor_beside_its_classroom_is_found_and_so_from_a_copy_elsewhere(classroom, tmp_path):
    cfg = with_mentor_folder(Config.fromfile(classroom))
    assert cfg.model.mentors[0].folder == str(classroom.parent)
    (tmp_path / 'work').mkdir()
    cfg.dump(str(tmp_path / 'work/classroom.py'))
    copy = with_mentor_folder(Config.fromfile(tmp_path / 'work/classroom.py'))
    (mentor,) = MODELS.build(copy.model).mentors
    assert mentor.config.filename == str(classroom.parent / 'teacher.py')


def test_what_needs_no_folder_gets_none(classroom):
    cfg = Config.fromfile(classroom)
    for entry in (
        dict(name='m', config=str(classroom.parent / 'teacher.py'), checkpoint=None),
        dict(zoo='td-hm_res50_8xb64-210e_coco-256x192'),
        dict(config='mmpose::a/b.py', checkpoint='https://a.b/c.pth'),
        dict(config=dict(type='Net'), checkpoint=None),
    ):
        cfg.model.mentors = [dict(entry)]
        assert with_mentor_folder(cfg).model.mentors == [entry]
    cfg.model.mentors = [dict(config='none.py', checkpoint=None, folder='mine')]
    assert with_mentor_folder(cfg).model.mentors[0].folder == 'mine'
    stock = Config(dict(model=dict(type='ResNet')), filename=str(classroom))
    assert with_mentor_folder(stock) is stock


def test_a_file_that_is_nowhere_names_both_places(classroom, tmp_path):
    cfg = Config.fromfile(classroom)
    cfg.model.mentors[0].config = 'none.py'
    places = f'looked for in {tmp_path / "here"} and in {classroom.parent}'
    with pytest.raises(FileNotFoundError, match=f"'none.py' does not exist, {places}"):
        MODELS.build(with_mentor_folder(cfg).model)
    cfg.model.mentors[0].update(config='teacher.py', checkpoint='none.pth')
    with pytest.raises(FileNotFoundError, match=f"'none.pth' does not exist, {places}"):
        MODELS.build(with_mentor_folder(cfg).model)


def test_tools_find_them_too(classroom):
    args = train.parse_args([str(classroom)])
    cfg = train.merge_args(Config.fromfile(classroom), args)
    assert MentorSettings.of(cfg.model.mentors[0], 0).config == str(classroom.parent / 'teacher.py')
    cfg = Config.fromfile(classroom)
    _, row = check(cfg, with_mentor_folder(cfg).model.mentors)
    assert row[:2] == ['m', 'yes']
    cfg.model.mentors[0].checkpoint = 'none.pth'
    _, row = check(cfg, with_mentor_folder(cfg).model.mentors)
    assert row[1] == 'yes' and 'weights not there yet: none.pth' in row[2]
