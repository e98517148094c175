"""The table of betas and temperatures."""

import pytest
import torch
from mmengine.runner import Runner

from classroomkd_mm.analysis import beta
from classroomkd_mm.mentors import MentorSettings


def bumps(shift, seed):
    x = torch.arange(12.0)
    row = torch.exp(-((x - 5 - shift) ** 2) / 8)
    noise = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    return row[:, None] * row + 0.01 * noise


def test_the_temperature_matters_only_where_beta_is_large():
    """At a small beta KL is half the squared error, which tau^2 KL does not feel (README)."""
    student, mentor = bumps(1, 0), bumps(0, 1)
    small = [beta.measure(student, mentor, 0.1, tau)[0] for tau in (1.0, 4.0)]
    large = [beta.measure(student, mentor, 100, tau)[0] for tau in (1.0, 4.0)]
    assert small[1] == pytest.approx(small[0], rel=0.05)
    assert abs(large[1] / large[0] - 1) > 0.2
    loss, gradient = beta.measure(mentor, mentor, 10, 1.0)
    assert loss == pytest.approx(0, abs=1e-6) and gradient == pytest.approx(0, abs=1e-6)


def test_near_the_peak_is_all_of_a_sharp_map_and_its_share_of_a_flat_one():
    mentor = bumps(0, 1)
    assert beta.near_peak(mentor, 1e4) == pytest.approx(1)
    assert beta.near_peak(mentor, 0.0) == pytest.approx(4 / 144)  # the first of all, a corner


def test_weights_of_another_network_are_refused(tmp_path):
    network, _ = MentorSettings('a', 'configs/demo/mentor_small.py', None).build()
    torch.save(dict(state_dict=network.state_dict()), tmp_path / 'small.pth')
    with pytest.raises(ValueError, match='small.pth.* is of another network'):
        beta.heatmaps('configs/demo/mentor_large.py', str(tmp_path / 'small.pth'), 1)
    (tmp_path / 'no.pth').write_text('{}')
    with pytest.raises(ValueError, match='no.pth.* cannot be read as a checkpoint'):
        beta.heatmaps('configs/demo/mentor_large.py', str(tmp_path / 'no.pth'), 1)


def test_heatmaps_are_those_of_stock_inference(demo_config, people, tmp_path):
    from mmpose.apis import init_model

    cfg = demo_config('alone')
    cfg.dump(str(tmp_path / 'alone.py'))
    stock = init_model(cfg, None, device='cpu')
    torch.save(dict(state_dict=stock.state_dict()), tmp_path / 'w.pth')
    maps = beta.heatmaps(str(tmp_path / 'alone.py'), str(tmp_path / 'w.pth'), 1)
    batch = next(iter(Runner.build_dataloader(cfg.val_dataloader)))
    with torch.no_grad():
        inputs = stock.data_preprocessor(batch)['inputs']
        assert torch.equal(maps, stock(inputs, None, mode='tensor'))


def test_no_batches_are_no_number_of_them(capsys):
    with pytest.raises(SystemExit):
        beta.parse_args(['--batches', '0'])
    assert '0 is not a whole number from 1 on' in capsys.readouterr().err


def test_the_table_has_a_row_for_each(monkeypatch, capsys):
    asked = []

    def heatmaps(config, checkpoint, batches):
        asked.append((config, checkpoint, batches))
        return bumps(len(asked), len(asked))

    monkeypatch.setattr(beta, 'heatmaps', heatmaps)
    assert beta.main(['--student', 's.py', 's.pth', '--batches', '3']) == 0
    assert asked[0] == ('s.py', 's.pth', 3) and asked[1][0] == 'configs/demo/mentor_large.py'
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ['beta', 'tau', 'loss'] and 'near peak' in head
    assert [row.split()[:2] for row in rows[:3]] == [['1', '1'], ['1', '2'], ['1', '4']]
    assert rows[0].split()[3] == '1.00' and len(rows) == len(beta.BETAS) * len(beta.TAUS)


def test_heatmaps_are_of_the_validation_pictures(demo_config, tmp_path):
    from mmengine.registry import MODELS

    cfg = demo_config('mentor_small')
    cfg.val_dataloader.batch_size = 2
    cfg.dump(str(tmp_path / 'm.py'))
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'm.pth')
    found = beta.heatmaps(str(tmp_path / 'm.py'), str(tmp_path / 'm.pth'), 2)
    assert found.shape[:2] == (4, 17) and found.ndim == 4
