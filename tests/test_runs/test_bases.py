"""Hooks that a classroom's config lost by a list of its own are named."""

from pathlib import Path

import pytest
from mmengine.config import Config

from classroomkd_mm.commands import train as train_command
from classroomkd_mm.runs import dropped_hooks

CONFIGS = Path(__file__).parents[2] / 'configs'
CLASSROOM = """
custom_hooks = {hooks}
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{{{_base_.model}}}},
    mentors=[])
"""
OURS = "[dict(type='classroomkd_mm.ClassroomHook')]"


@pytest.fixture
def written(tmp_path):
    """``written(name, base, hooks)``: a classroom's config in a file, read."""

    def write(name, base, hooks=OURS, text=CLASSROOM):
        path = tmp_path / f'{name}.py'
        path.write_text(f'_base_ = {base!r}\n' + text.format(hooks=hooks))
        return Config.fromfile(path)

    return write


RTMPOSE = 'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192.py'


def test_what_a_stock_recipe_lists_and_the_classroom_does_not(written):
    lost = dropped_hooks(written('replaced', RTMPOSE))
    assert lost == ['EMAHook', 'PipelineSwitchHook']  # not what the recipe itself left out
    hooks = "[*_base_.custom_hooks, dict(type='classroomkd_mm.ClassroomHook')]"
    assert dropped_hooks(written('kept', RTMPOSE, hooks)) == []
    one = written('one', RTMPOSE, "[dict(type='mmengine.EMAHook')]")
    assert dropped_hooks(one) == ['PipelineSwitchHook']


def test_a_memory_does_not_miss_what_it_refuses(written):
    cfg = written('remembered', RTMPOSE)
    cfg.model.memory = dict(dir='answers')
    assert dropped_hooks(cfg) == ['EMAHook']


def test_through_a_classroom_that_is_the_base(written, tmp_path):
    written('first', [RTMPOSE])
    last = "model = dict(mentoring=dict(type='FixedMentoring', tau=2.0))\n"
    cfg = written('second', ['./first.py'], text=last)
    assert dropped_hooks(cfg) == ['EMAHook', 'PipelineSwitchHook']
    only_hooks = 'custom_hooks = {hooks}'
    written('third', './first.py', "[dict(type='classroomkd_mm.MentorEvalHook')]", only_hooks)
    cfg = written('fourth', './third.py', '[]', only_hooks)
    assert dropped_hooks(cfg) == [
        'MentorEvalHook', 'ClassroomHook', 'EMAHook', 'PipelineSwitchHook'
    ]  # fmt: skip


def test_a_derived_hook_stands_in_for_its_own(written):
    from mmengine.hooks import EMAHook
    from mmengine.registry import HOOKS

    @HOOKS.register_module(force=True)
    class SlowEMAHook(EMAHook):
        pass

    cfg = written('derived', RTMPOSE, "[dict(type='SlowEMAHook')]")
    assert dropped_hooks(cfg) == ['PipelineSwitchHook']


def test_what_cannot_have_lost_any(written, tmp_path):
    assert dropped_hooks(Config.fromfile(CONFIGS / 'demo/alone.py')) == []  # no classroom
    cfg = written('whole', RTMPOSE)
    assert dropped_hooks(Config(cfg.to_dict())) == []  # without a file
    cfg.dump(str(tmp_path / 'dumped.py'))
    assert dropped_hooks(Config.fromfile(tmp_path / 'dumped.py')) == []  # without bases


def test_the_shipped_classrooms_keep_their_bases_hooks_where_one_process_needs_them():
    found = {
        path.name: dropped_hooks(Config.fromfile(path))
        for path in sorted((CONFIGS / 'pose').rglob('classroom*.py'))
    }
    assert len(found) > 8 and not any(found.values())


def test_buffers_are_averaged_only_over_ranks(written, monkeypatch):
    cfg = written('buffers', 'mmpose::_base_/default_runtime.py', text='custom_hooks = []\n')
    cfg.model = dict(type='classroomkd_mm.ClassroomDistiller')
    assert dropped_hooks(cfg) == []
    monkeypatch.setattr('classroomkd_mm.runs.bases.get_world_size', lambda: 2)
    assert dropped_hooks(cfg) == ['SyncBuffersHook']


BASE = """
from mmengine.hooks import EMAHook, SyncBuffersHook
from mmpose.models import TopdownPoseEstimator

custom_hooks = [dict(type=EMAHook), dict(type=SyncBuffersHook)]
model = dict(type=TopdownPoseEstimator)
"""
PURE = """
from mmengine.config import read_base
from mmengine.hooks import EMAHook

with read_base():
    from .{base} import *

from classroomkd_mm import ClassroomDistiller
from classroomkd_mm.hooks import ClassroomHook

custom_hooks = [dict(type=ClassroomHook)]
model = dict(type=ClassroomDistiller, student=model, mentors=[])
"""


def test_configs_in_the_pure_python_style(tmp_path, monkeypatch):
    (tmp_path / 'nets').mkdir()
    (tmp_path / 'nets/stock.py').write_text(BASE)
    (tmp_path / 'pure.py').write_text(PURE.format(base='nets.stock'))
    cfg = Config.fromfile(tmp_path / 'pure.py')
    assert dropped_hooks(cfg) == ['EMAHook']
    (tmp_path / 'a_library').mkdir()
    (tmp_path / 'a_library/__init__.py').touch()
    (tmp_path / 'a_library/stock.py').write_text(BASE)
    monkeypatch.syspath_prepend(tmp_path)
    text = PURE.format(base='x').replace('from .x', 'from a_library.stock')
    (tmp_path / 'library.py').write_text(text)
    assert dropped_hooks(Config.fromfile(tmp_path / 'library.py')) == ['EMAHook']


def test_tools_train_warns_once(demo_config, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = demo_config('classroom')
    stock = demo_config('alone')
    stock.custom_hooks = [dict(type='EMAHook'), dict(type='SyncBuffersHook')]
    stock.train_cfg.update(max_epochs=1, val_interval=9)
    stock.dump(str(tmp_path / 'stock.py'))
    text = f'model = {dict(cfg.model.to_dict(), _delete_=True)!r}\n'
    main = train_command.main
    for name, more, count in (('lost', 'custom_hooks = []\n', 1), ('kept', '', 0)):
        own = f"_base_ = './stock.py'\nvisualizer = dict(name='{tmp_path.name}_{name}')\n"
        own += f"experiment_name = '{tmp_path.name}_{name}'\n"
        (tmp_path / f'{name}.py').write_text(own + text + more)
        main([str(tmp_path / f'{name}.py'), '--work-dir', str(tmp_path / name), '--no-validate'])
        log = ''.join(path.read_text() for path in (tmp_path / name).rglob('*.log'))
        assert log.count('those of its base, which also has EMAHook: leave custom_hooks') == count
        assert (tmp_path / name / 'classroom.jsonl').is_file()
