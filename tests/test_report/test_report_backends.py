"""The figures in TensorBoard and Weights & Biases, through MMEngine's visualiser."""

import shutil
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest

from classroomkd_mm.report.backends import backend_config
from classroomkd_mm.report.command import main
from classroomkd_mm.report.logs import read_work_dir

BOTH = {'who_taught', 'score', 'rank', 'weight', 'temperature', 'right', 'cost'}
POSE = BOTH | {'keypoints/large'}
CLASSES = BOTH | {'right_by_class'}


def copied(folder, tmp_path):
    work = tmp_path / 'work'
    shutil.copytree(folder, work)
    return work


def test_tensorboard_shows_them(pose_run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    work, before = copied(pose_run, tmp_path), read_work_dir(str(pose_run)).evaluations
    out = str(tmp_path / 'page.html')
    assert main([str(work), '--out', out, '--samples', '6', '--to', 'tensorboard']) == 0
    (file,) = (work / 'report').glob('**/events*')
    events = EventAccumulator(str(file), size_guidance=dict(images=0))
    events.Reload()
    tags = events.Tags()
    names = {tag.removeprefix('classroom_report/') for tag in tags['images']}
    assert POSE <= names and sum(name.startswith('gallery/') for name in names) == 6
    event = events.Images('classroom_report/keypoints/large')[0]
    picture = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), 1)
    assert event.step == 2 and picture.shape == (500, 400, 3) and picture.std() > 10
    assert 'classroom_report/large/alone_right' in tags['scalars']
    assert 'classroom_report/small/taught_keypoint/nose' in tags['scalars']
    # What was told there is no evaluation of the student.
    assert read_work_dir(str(work)).evaluations == before


def test_weights_and_biases_get_them(class_run, tmp_path, monkeypatch):
    told = {}
    wandb = ModuleType('wandb')
    wandb.init = lambda **settings: told.update(settings=settings)
    wandb.log = lambda values, **_: told.update(values)
    wandb.Image = lambda image: image
    wandb.join = wandb.finish = lambda: told.update(closed=True)
    wandb.run = None
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    work, out = copied(class_run, tmp_path), str(tmp_path / 'page.html')
    main([str(work), '--out', out, '--samples', '6', '--to', 'wandb'])
    images = [key for key, value in told.items() if isinstance(value, np.ndarray)]
    names = {key.removeprefix('classroom_report/') for key in images}
    assert CLASSES <= names and sum(name.startswith('gallery/') for name in names) == 6
    assert 0 <= told['classroom_report/a/alone_right'] <= 1 and told['closed']


@pytest.mark.parametrize('name', ['wandb', 'WandbVisBackend', 'MLflowVisBackend'])
def test_a_backend_whose_package_is_missing_is_told_before_anything_is_asked(monkeypatch, name):
    monkeypatch.setattr('classroomkd_mm.report.backends.find_spec', lambda package: None)
    package = 'mlflow' if 'flow' in name else 'wandb'
    words = f'--to {name} needs {package}, which is not installed: pip install {package}'
    with pytest.raises(ValueError, match=words):
        main(['anything', '--to', name])


def test_a_backend_is_set_as_in_the_runs_config(monkeypatch):
    monkeypatch.setattr('classroomkd_mm.report.backends.find_spec', lambda package: package)
    own = dict(type='mmengine.WandbVisBackend', init_kwargs=dict(project='mine'))
    cfg = dict(visualizer=dict(vis_backends=[dict(type='LocalVisBackend'), own]))
    found = backend_config('wandb', cfg)
    assert found == dict(type='WandbVisBackend', init_kwargs=dict(project='mine'))
    assert backend_config('tensorboard', cfg) == dict(type='TensorboardVisBackend')
    with pytest.raises(ValueError, match='--to board: there is no such backend; choose from .*wan'):
        main(['anything', '--to', 'board'])
