"""tools/mentors.py: search, info, check."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
import mentors as tool

ROOT = Path(__file__).parents[2]
HRNET = 'td-hm_hrnet-w48_8xb32-210e_coco-256x192'


def test_search_by_word_data_set_and_metric(capsys):
    assert tool.main(['search', 'hrnet-w48', '--dataset', 'COCO', '--metric', 'AP']) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    values = [float(line.split('AP ')[1]) for line in lines]
    assert values == sorted(values, reverse=True) and any(HRNET in line for line in lines)


def test_info_shows_what_a_mentor_needs(capsys):
    tool.main(['info', HRNET])
    text = capsys.readouterr().out
    for part in ('input_size (192, 256)', 'MSRAHeatmap', 'mean [123.675', 'AP 0.756', '0e67c616'):
        assert part in text
    with pytest.raises(SystemExit, match='did you mean'):
        tool.main(['info', HRNET + 'x'])


def test_check_tells_what_is_adapted_and_what_does_not_fit(demo_config, tmp_path, capsys):
    cfg = demo_config('classroom')
    small = demo_config('mentor_small').model.to_dict()
    other = demo_config('mentor_small').model.to_dict()
    other['data_preprocessor'].update(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=False)
    other['head']['decoder'].update(type='UDPHeatmap', input_size=(96, 128))
    wrong = demo_config('mentor_small').model.to_dict()
    wrong['head']['out_channels'] = 16
    cfg.model.mentors = [
        dict(name='same', config=small, checkpoint='/nowhere.pth'),
        dict(name='other', config=other, checkpoint=None),
        dict(name='wrong', config=wrong, checkpoint=None),
    ]
    cfg.dump(str(tmp_path / 'classroom.py'))
    assert tool.main(['check', str(tmp_path / 'classroom.py')]) == 1
    same, second, third = capsys.readouterr().out.splitlines()[-3:]
    assert same.split() == ['same', 'yes', '-']
    for part in (
        'yes',
        'channels to BGR',
        'mean and std',
        'input to 96x128',
        'UDPHeatmap 24x32 to MSRA',
    ):
        assert part in second
    assert "NO    mentor 'wrong' has 16 keypoints, the student 17" in third


def test_check_of_a_classification_classroom(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = 'configs/cls/imagenet/classroom_resnet18_resnet34_8xb32_in1k.py'
    assert tool.main(['check', config]) == 0
    names = [m.name for m in Config.fromfile(config).model.mentors]
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[-4:]] == [
        [name, 'yes'] for name in names
    ]
