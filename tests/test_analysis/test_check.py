"""Checking a classroom's mentors: what is adapted, what does not fit, and why."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from classroomkd_mm.analysis import check as tool
from classroomkd_mm.commands.errors import IN_WORDS

ROOT = Path(__file__).parents[2]


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
    assert same.split() == 'same yes weights not there yet: /nowhere.pth'.split()
    for part in (
        'yes',
        'channels to BGR',
        'mean and std',
        'input to 96x128',
        'UDPHeatmap 24x32 to MSRA',
    ):
        assert part in second
    assert "NO    mentor 'wrong' has 16 keypoints, the student 17" in third


SAID = ('takes name and either zoo', 'they exclude each other', 'must be a dict', '.name=7 must be')


def faulty_entries():
    """Each with a fault that only its place in the list names."""
    both = dict(zoo='x', config='y.py', checkpoint=None)
    return [dict(name='lacks', config='y.py'), both, 'no dict', dict(both, name=7)]


@pytest.fixture
def three_mentors(demo_config, tmp_path):
    """A classroom's file: a sound mentor, one that gives NaN, and one whose forward fails."""
    cfg = demo_config('classroom')
    sound, nan, broken = (demo_config('mentor_small').model.to_dict() for _ in range(3))
    nan['data_preprocessor'].update(std=[0, 0, 0])
    broken['head']['in_channels'] = 65
    cfg.model.mentors = [
        dict(name='sound', config=sound, checkpoint=None),
        dict(config=nan, checkpoint=None),
        dict(config=broken, checkpoint=None),
    ]
    cfg.dump(str(tmp_path / 'classroom.py'))
    return cfg, str(tmp_path / 'classroom.py')


def test_a_batch_shows_what_only_a_lesson_can(three_mentors, tmp_path, capsys):
    out = tmp_path / 'new/table.md'
    assert tool.main(['check', three_mentors[1], '--batch', '2', '--out', str(out)]) == 1
    sound, nan, broken = capsys.readouterr().out.splitlines()[-3:]
    name, fits, shared, milliseconds, adapted = sound.split()
    assert (name, fits, shared, adapted) == ('sound', 'yes', 'all', '-') and int(milliseconds) > 0
    assert nan.split()[:4] == ['mentor1', 'NO', '-', '-'] and 'would be muted' in nan
    assert broken.startswith('mentor2') and 'RuntimeError: Given transposed=1' in broken
    rows = out.read_text().splitlines()
    assert rows[1] == '| --- | --- | --- | --- | --- |' and len(rows) == 5
    assert rows[2].startswith('| sound | yes | all')


def test_check_of_published_networks(three_mentors, capsys):
    words = ['--zoo', '^td-hm_mobilenetv2', '256x(192|256)$', '--dataset', 'MPII']
    assert tool.main(['check', three_mentors[1], *words]) == 0
    told = capsys.readouterr()
    assert 'The data were not looked at: --batch 128' in told.err
    (row,) = told.out.splitlines()[1:]
    assert row.split()[:2] == ['td-hm_mobilenetv2_8xb64-210e_mpii-256x256', 'yes']
    assert 'input to 256x256, letterboxed' in row


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--zoo', 'hrnett'], r"no published network has words \['hrnett'\]"),
        (['--zoo', 'hrnet('], 'missing \\), unterminated subpattern'),
        (['--batch', '999'], '--batch 999: there are 24 training samples'),
    ],
)
def test_what_check_cannot_do_is_said(three_mentors, arguments, message):
    with pytest.raises(IN_WORDS, match=message):
        tool.main(['check', three_mentors[1], *arguments])


@pytest.mark.parametrize(
    'arguments, message',
    [(['--dataset', 'COCO'], 'add --zoo'), (['--batch', '0'], '0 is not a whole number from 1 on')],
)
def test_wrong_arguments_are_usage_errors(capsys, arguments, message):
    with pytest.raises(SystemExit):
        tool.main(['check', 'c.py', *arguments])
    assert message in capsys.readouterr().err


def test_check_reads_weights_that_are_there(three_mentors, tmp_path, capsys):
    cfg, path = three_mentors
    (tmp_path / 'a.pth').write_bytes(b'not a checkpoint')
    cfg.model.mentors = [dict(cfg.model.mentors[0], checkpoint=f'{tmp_path}/a.pth')]
    cfg.dump(path)
    assert tool.main(['check', path]) == 1
    assert 'cannot be read as a checkpoint' in capsys.readouterr().out
    del cfg.model.mentors[0]['checkpoint']  # which a run refuses
    cfg.dump(path)
    assert tool.main(['check', path]) == 1
    assert 'NO    mentors[0] takes name and either zoo' in capsys.readouterr().out
    cfg.model.mentors = [dict(cfg.model.mentors[0], checkpoint=None), *faulty_entries()]
    cfg.dump(path)
    assert tool.main(['check', path]) == 1
    rows = capsys.readouterr().out.splitlines()[-5:]
    assert rows[0].split() == ['sound', 'yes', '-']
    for position, (row, said) in enumerate(zip(rows[1:], SAID), 1):
        assert f'NO    mentors[{position}]' in row and said in row and 'mentors[0]' not in row
    with pytest.raises(IN_WORDS, match='there must be mentors'):
        tool.main(['check', str(ROOT / 'configs/demo/alone.py')])
    with pytest.raises(IN_WORDS, match='nowhere.py'):
        tool.main(['check', 'nowhere.py'])


def test_missing_data_and_a_faulty_student_are_not_the_mentors_fault(three_mentors, tmp_path):
    cfg, path = three_mentors
    cfg.train_dataloader.dataset.data_root = '/nowhere/'
    cfg.dump(path)
    with pytest.raises(IN_WORDS, match='--batch needs the training data: .*/nowhere/'):
        tool.main(['check', path, '--batch', '1'])
    cfg.model.student.head.type = 'HeatmapHeadd'
    cfg.dump(path)
    with pytest.raises(IN_WORDS, match='^student: its model .*HeatmapHeadd'):
        tool.main(['check', path])


def test_check_of_a_classification_classroom(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = 'configs/cls/imagenet/classroom_resnet18_resnet34_8xb32_in1k.py'
    assert tool.main(['check', config]) == 0
    names = [m.name for m in Config.fromfile(config).model.mentors]
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[-4:]] == [
        [name, 'yes'] for name in names
    ]


def test_the_preprocessor_beside_the_model_is_the_students():
    """As MMPretrain's configs have it, and as its runner hands it over."""
    cfg = Config.fromfile(ROOT / 'configs/cls/fashion_mnist/classroom.py')
    assert 'data_preprocessor' not in cfg.model
    model = tool.build_classroom(cfg, [])
    want = torch.tensor(cfg.data_preprocessor.mean, dtype=torch.float32)
    torch.testing.assert_close(model.data_preprocessor.mean.flatten(), want)
    assert 'data_preprocessor' not in cfg.model and len(cfg.model.mentors) == 4
    cfg.model.data_preprocessor = dict(cfg.data_preprocessor, mean=[5.0])
    assert tool.build_classroom(cfg, []).data_preprocessor.mean.item() == 5


def test_what_is_no_classroom_is_refused(demo_config):
    with pytest.raises(ValueError, match='the model is a TopdownPoseEstimator, not a Classroom'):
        tool.build_classroom(demo_config('alone'))


def test_a_batch_joins_keypoints_by_name(demo_config, people):
    """What is shared is told of the data set, whose keypoints are known only with it."""
    cfg = demo_config('classroom')
    mentor = demo_config('mentor_small').model.to_dict()
    mentor['head']['out_channels'] = 6
    names = ['nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'tail']
    entry = dict(name='animal', config=mentor, checkpoint=None, keypoints=names)
    (_, row) = tool.check(cfg, [entry], batch=1)
    assert row[:3] == ['animal', 'yes', '5 of 17'] and '5 of 17 keypoints by name' in row[-1]
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match='--batch needs .*: the config has no train_dataloader'):
        tool.check(cfg, [entry], batch=1)
