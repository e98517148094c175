"""tools/compare_mentors.py: a classroom's mentors against their own stock inference."""

import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
import compare_mentors as tool


@pytest.fixture
def classroom(demo_config, tmp_path):
    """A classroom whose mentor has the student's crop, normalisation and codec; and its file."""
    mentor = demo_config('mentor_small')
    mentor.dump(str(tmp_path / 'mentor.py'))
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
    assert row.split()[-4] == '100%'
    (scored, taught) = tool.compare(classroom[0], 4)['same']
    assert len(scored) == len(taught) > 20 and scored.max() < 0.36


def test_a_mentor_that_sees_another_crop_is_found_out(classroom, tmp_path):
    """The test of the test: its own pipeline is told of a crop that the classroom does not show."""
    path = tmp_path / 'mentor.py'
    kind = "type='GetBBoxCenterScale'"
    path.write_text(path.read_text().replace(kind, f'{kind}, padding=3.0'))
    (scored, taught) = tool.compare(classroom[0], 4)['same']
    assert (scored > 0.5).mean() > 0.5 and (taught > 0.5).mean() > 0.5


def test_what_cannot_be_compared_is_said(classroom, demo_config):
    cfg, path = classroom
    cfg.model.mentors[0].update(config=demo_config('mentor_small').model.to_dict(), checkpoint=None)
    with pytest.raises(ValueError, match="mentor 'same': its config has no test_dataloader"):
        tool.compare(cfg, 1)
    cfg.val_dataloader = None
    cfg.dump(path)
    with pytest.raises(SystemExit, match='needs train_dataloader .* and val_dataloader'):
        tool.main([path])
