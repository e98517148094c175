"""A classroom's pose mentors against their own stock inference."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from classroomkd_mm.analysis import compare as tool
from classroomkd_mm.commands.errors import IN_WORDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def classroom(demo_config, tmp_path):
    """A classroom whose mentor has the student's crop, normalisation and codec; and its file."""
    mentor = demo_config('mentor_small')
    mentor.dump(str(tmp_path / 'mentor.py'))
    torch.manual_seed(0)  # what ran before does not decide which weights these are
    network = MODELS.build(mentor.model)
    network.head.final_layer.bias.data += 1.0  # MMPose reads no peak from negative heatmaps
    torch.save(dict(state_dict=network.state_dict()), tmp_path / 'mentor.pth')
    cfg = demo_config('classroom')
    cfg.model.mentors = [
        dict(name='same', config=str(tmp_path / 'mentor.py'), checkpoint=f'{tmp_path}/mentor.pth')
    ]
    cfg.dump(str(tmp_path / 'classroom.py'))
    return cfg, str(tmp_path / 'classroom.py')


def test_the_same_crop_gives_the_same_keypoints(classroom, capsys):
    """Whatever its weights: MMPose's decoder and ours differ by up to a quarter pixel an axis."""
    tool.main([classroom[1], '--people', '4'])
    header, row = capsys.readouterr().out.splitlines()[-2:]
    assert header.split()[:2] == ['mentor', 'keypoints'] and row.split()[0] == 'same'
    assert row.split()[-4] == '100%' and header.endswith('or why not')
    (scored, taught) = tool.compare(classroom[0], 4)['same']
    assert len(scored) == len(taught) > 20 and scored.max() < 0.36


def test_a_mentor_that_sees_another_crop_is_found_out(classroom, tmp_path):
    """The test of the test: its own pipeline is told of a crop that the classroom does not show."""
    path = tmp_path / 'mentor.py'
    kind = "type='GetBBoxCenterScale'"
    path.write_text(path.read_text().replace(kind, f'{kind}, padding=3.0'))
    (scored, taught) = tool.compare(classroom[0], 4)['same']
    assert (scored > 0.5).mean() > 0.5 and (taught > 0.5).mean() > 0.5


def test_one_that_cannot_be_compared_does_not_keep_the_others_from_it(
    classroom, demo_config, capsys
):
    cfg, path = classroom
    network = demo_config('mentor_small').model.to_dict()
    cfg.model.mentors.insert(0, dict(name='bare', config=network, checkpoint=None))
    cfg.dump(path)
    assert tool.main([path, '--people', '2']) == 1
    header, bare, same = capsys.readouterr().out.splitlines()[-3:]
    assert header.endswith('or why not') and same.split()[-4] == '100%'
    assert bare.split()[:3] == ['bare', '-', '-'] and 'has no test_dataloader' in bare


def test_what_cannot_be_compared_is_said(classroom, capsys):
    cfg, path = classroom
    with pytest.raises(SystemExit):
        tool.main([path, '--people', '0'])
    assert '--people: 0 is not a whole number from 1 on' in capsys.readouterr().err
    cfg.val_dataloader = None
    cfg.dump(path)
    with pytest.raises(IN_WORDS, match='needs train_dataloader .* and val_dataloader'):
        tool.main([path])


def without(cfg, *settings):
    """The mentor's config with one setting left out, named by its path."""
    *path, last = settings
    for key in path:
        cfg = cfg[key]
    cfg.pop(last)


@pytest.mark.parametrize('lacking', [['train_dataloader'], ['train_dataloader', 'dataset', 'type']])
def test_a_mentor_that_names_no_data_set_takes_its_checkpoints(classroom, tmp_path, lacking):
    """MMPose's runner keeps the metainfo beside the weights; else it is asked for by name."""
    cfg, path = classroom
    mentor = Config.fromfile(tmp_path / 'mentor.py')
    without(mentor, *lacking)
    mentor.dump(str(tmp_path / 'mentor.py'))
    asked = "mentor 'same': neither its config nor its checkpoint names .* train_dataloader.dataset"
    assert re.match(asked, tool.compare(cfg, 1)['same'])
    weights = torch.load(tmp_path / 'mentor.pth')
    meta = dict(dataset_meta=dict(dataset_name='people', flip_indices=list(range(17))))
    torch.save(dict(weights, meta=meta), tmp_path / 'mentor.pth')
    assert tool.compare(cfg, 1)['same'].shape[0] == 2
    cfg.model.mentors[0].checkpoint = None
    assert re.match(asked, tool.compare(cfg, 1)['same'])


@pytest.mark.parametrize('value', [None, dict(batch_size=1, dataset=dict(type='CocoDataset'))])
def test_a_mentor_without_a_pipeline_is_asked_for_one(classroom, tmp_path, value):
    mentor = Config.fromfile(tmp_path / 'mentor.py')
    mentor.test_dataloader = value
    mentor.dump(str(tmp_path / 'mentor.py'))
    asked = "mentor 'same': its config has no test_dataloader.*whole config"
    assert re.match(asked, tool.compare(classroom[0], 1)['same'])


def test_a_pipeline_that_is_not_its_networks_is_its_own_fault(classroom, tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError('Expected size 32 but got size 24')

    monkeypatch.setattr('mmpose.apis.inference_topdown', fails)
    told = "mentor 'same': its own stock inference fails: Expected size 32 .*dataset.pipeline"
    assert re.match(told, tool.compare(classroom[0], 1)['same'])


def test_people_that_are_not_there_are_an_error(classroom):
    cfg, path = classroom
    cfg.train_dataloader.dataset.data_root = '/nowhere/'
    cfg.dump(path)
    with pytest.raises(IN_WORDS, match='the comparison needs the training data: .*/nowhere/'):
        tool.main([path])


def test_how_sharply_the_config_teaches_changes_nothing(classroom):
    """At a small beta a heatmap's distribution is flat, and its peak says little."""
    cfg, _ = classroom
    before = tool.compare(cfg, 1)['same']
    cfg.model.distill_loss = dict(type='MSEDistillLoss')
    assert (tool.compare(cfg, 1)['same'] == before).all()
    assert cfg.model.distill_loss.type == 'MSEDistillLoss'


def test_a_classroom_of_classifiers_is_refused():
    cfg = Config.fromfile(ROOT / 'configs/cls/fashion_mnist/classroom.py')
    cfg.model.mentors = []
    with pytest.raises(ValueError, match='not one of pose estimation'):
        tool.compare(cfg, 1)
