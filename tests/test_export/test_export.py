"""A student leaves its run: stock files, graphs that predict the same, their cost, its entry."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS
from mmpose.apis.inference import dataset_meta_from_config
from modelindex.load_model_index import load

from classroomkd_mm.__main__ import main
from classroomkd_mm.export import command, cost, facts, graph, metafile, picture, stock
from classroomkd_mm.export.source import read_source
from classroomkd_mm.runs import STUDENT_FILE, student_config
from classroomkd_mm.runs.views import with_view_sampler

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work_dir(demo_config, tmp_path):
    """A classroom's work dir as a run leaves it, its student with random weights."""

    def make(change=lambda cfg: None, name='classroom'):
        cfg = demo_config(name)
        change(cfg)
        folder = tmp_path / 'run'
        (folder / '20260101/vis_data').mkdir(parents=True)
        cfg.dump(str(folder / f'{name}.py'))
        alone = student_config(cfg)
        alone.dump(str(folder / STUDENT_FILE))
        torch.manual_seed(0)
        network = MODELS.build(alone.model)
        meta = dict(dataset_meta=dict(sigmas=np.ones(17)))  # a run's has arrays
        torch.save(dict(state_dict=network.state_dict(), meta=meta), folder / 'epoch_2.pth')
        (folder / 'last_checkpoint').write_text('/moved/since/epoch_2.pth')
        lines = [{'loss': 1.0, 'step': 1}, {'coco/AP': 0.25, 'coco/AP (M)': -1.0, 'step': 2}]
        log = '\n'.join(map(json.dumps, lines))
        (folder / '20260101/vis_data/scalars.json').write_text(log)
        return folder

    return make


def simcc(cfg):
    codec = dict(type='SimCCLabel', input_size=(48, 64), sigma=4.9, simcc_split_ratio=2.0)
    cfg.model.student.head = dict(
        type='SimCCHead', in_channels=64, out_channels=17, input_size=(48, 64),
        in_featuremap_size=(6, 8), simcc_split_ratio=2.0, deconv_out_channels=None,
        loss=dict(type='KLDiscretLoss', use_target_weight=True), decoder=codec,
    )  # fmt: skip
    cfg.model.student.pop('test_cfg', None)


@pytest.mark.parametrize('change, gives', [(lambda cfg: None, 'heatmap'), (simcc, 'simcc')])
def test_a_pose_student_goes_out_and_predicts_the_same_everywhere(
    work_dir, change, gives, tmp_path, capsys
):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('openvino')
    folder, out = work_dir(change), tmp_path / 'out'
    argv = ['export', str(folder), '--onnx', '--openvino', '--out', str(out), '--rounds', '2']
    assert main(argv) == 0, capsys.readouterr().err
    said = json.loads((out / 'export.json').read_text())
    assert said['gives'] == gives and said['outputs'] == facts.NAMES[gives]
    assert 'in a process without classroomkd_mm' in said['stock']
    assert set(said['differences']) == {'ONNX Runtime', 'OpenVINO'}
    assert max(said['differences'].values()) < 1e-4
    assert said['input']['shape'] == ['batch', 3, 64, 48] and len(said['keypoints']) == 17
    # Against the stock network, built anew: another batch than the graph was made with.
    network = MODELS.build(Config.fromfile(out / 'student.py').model).eval()
    network.load_state_dict(torch.load(out / 'student.pth')['state_dict'], strict=True)
    inputs = torch.randn(5, 3, 64, 48)
    with torch.no_grad():
        want = network(inputs, None, mode='tensor')
    got = graph.onnx_runs(out / 'end2end.onnx')(inputs.numpy())
    for ours, theirs in zip(want if isinstance(want, tuple) else (want,), got):
        assert np.allclose(ours.numpy(), theirs, atol=1e-4 * float(ours.abs().max()))
    rows = [line.split('|')[1:3] for line in (out / 'cost.md').read_text().splitlines()[2:8]]
    runtimes = [runtime.strip() for _, runtime in rows]
    assert [name.strip() for name, _ in rows] == ['student'] * 3 + ['large', 'medium', 'small']
    assert runtimes == ['PyTorch', 'ONNX Runtime', 'OpenVINO', *['PyTorch'] * 3]
    assert cv2.imread(str(out / 'predictions.png')).shape[0] == picture.HEIGHT
    (model,) = load(str(out / 'model-index.yml')).models
    assert (model.name, model.config, model.weights) == ('run', 'student.py', 'student.pth')
    assert model.results[0].metrics == {'AP': 0.25}


def test_the_picture_needs_the_exported_file_alone(tmp_path):
    """Its script imports neither PyTorch, OpenMMLab nor this package."""
    code = (
        f'import runpy, sys; runpy.run_path({picture.__file__!r}); import onnxruntime\n'
        "print([name for name in ('torch', 'mmengine', 'mmpose', 'classroomkd_mm')"
        ' if name in sys.modules])'
    )
    pytest.importorskip('onnxruntime')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]', done.stderr


def test_the_picture_draws_the_largest_values():
    known = dict(gives='heatmap', input=dict(shape=['batch', 3, 64, 48]))
    maps = np.zeros((1, 2, 32, 24), np.float32)
    maps[0, 0, 8, 3], maps[0, 1, 31, 23] = 1, 0.5
    places, scores = picture.keypoints([maps], known)
    assert places.tolist() == [[[6, 16], [46, 62]]] and scores.tolist() == [[1, 0.5]]
    x, y = np.zeros((1, 1, 96), np.float32), np.zeros((1, 1, 128), np.float32)
    x[0, 0, 20], y[0, 0, 100] = 0.75, 0.5
    places, scores = picture.keypoints([x, y], dict(known, gives='simcc'))
    assert places.tolist() == [[[10, 50]]] and scores.tolist() == [[0.5]]
    swapped = dict(normalisation=dict(channels='RGB', mean=[1, 2, 3], std=[1, 2, 4]))
    one = picture.normalised(np.array([[[[11, 10, 9]]]], np.uint8), swapped)
    assert one.reshape(-1).tolist() == [8, 4, 2]


def test_the_stock_process_refuses_this_package():
    code = (
        f'import runpy, sys; found = runpy.run_path({stock.__file__!r})\n'
        "sys.meta_path.insert(0, found['Refuse'])\nimport classroomkd_mm"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and 'classroomkd_mm is refused here' in done.stderr


def test_a_graph_that_differs_is_an_error():
    known = dict(
        input=dict(shape=['batch', 3, 4, 4]), outputs=['output'],
        normalisation=dict(mean=[0.0] * 3, std=[1.0] * 3),
    )  # fmt: skip

    def want(inputs):
        return [inputs.mean((2, 3))]

    assert graph.difference(want, want, known, 'ours') == 0
    with pytest.raises(ValueError, match='ours differs from the student by 1.0e-02'):
        graph.difference(want, lambda inputs: [1.01 * want(inputs)[0]], known, 'ours')
    with pytest.raises(ValueError, match=r'the shape of output is \(1, 1\), of the student \(1, 3'):
        graph.difference(want, lambda inputs: [want(inputs)[0][:, :1]], known, 'ours')


def test_a_work_dir_that_lacks_something_is_told(work_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match='WORK_DIR .*/nowhere: there is no such fold'):
        read_source(tmp_path / 'nowhere')
    (tmp_path / 'weights.pth').touch()
    words = f'weights.pth: is a file: give the work dir that it lies in, {tmp_path}'
    with pytest.raises(FileNotFoundError, match=words):
        read_source(tmp_path / 'weights.pth')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'holds no config \(\*.py\)'):
        read_source(tmp_path / 'empty')
    folder = work_dir()
    with pytest.raises(FileNotFoundError, match="checkpoint='none.pth' does not exist, nor in "):
        read_source(folder, 'none.pth')
    assert read_source(folder, 'epoch_2.pth').checkpoint == folder / 'epoch_2.pth'
    (folder / 'last_checkpoint').unlink()
    with pytest.raises(FileNotFoundError, match='holds no checkpoint: give --checkpoint FILE'):
        read_source(folder)
    torch.save(dict(state_dict={'head.x': torch.ones(1)}), folder / 'best_coco_AP_epoch_1.pth')
    source = read_source(folder)
    assert source.checkpoint.name == 'best_coco_AP_epoch_1.pth'
    with pytest.raises(ValueError, match='best_coco_AP_epoch_1'):
        source.student()


@pytest.mark.parametrize('views', [1, 8])
def test_a_student_of_fixed_views_needs_no_package_and_keeps_its_keypoints_names(work_dir, views):
    """MMPose would take COCO's for those of a data set that it does not know."""

    def mpii(cfg):
        stock = dict(cfg.train_dataloader.dataset.to_dict(), type='MpiiDataset')
        fixed = dict(type='classroomkd_mm.FixedViews', views=views, dataset=stock)
        cfg.train_dataloader.dataset = fixed
        with_view_sampler(cfg)

    found = read_source(work_dir(mpii)).cfg
    assert found.train_dataloader.sampler.type == 'DefaultSampler'
    assert 'classroomkd_mm' not in found.pretty_text
    assert dataset_meta_from_config(found)['dataset_name'] == 'mpii'


def test_without_a_runtime_it_says_what_to_install(work_dir, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    assert main(['export', str(work_dir(name='alone')), '--onnx']) == 1
    assert 'onnxruntime is needed: pip install onnxruntime' in capsys.readouterr().err


def test_a_stock_run_has_no_mentors_and_files_can_be_drawn_into(work_dir, tmp_path):
    pytest.importorskip('onnxruntime')
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((50, 40, 3), 90, np.uint8))
    argv = [str(work_dir(name='alone')), '--onnx', '--rounds', '1', '--pictures']
    assert command.main([*argv, str(tmp_path / 'a.png')]) == 0
    assert cv2.imread(str(tmp_path / 'run/export/predictions.png')).shape == (256, 192, 3)
    entry = yaml.safe_load((tmp_path / 'run/export/metafile.yml').read_text())['Models'][0]
    assert entry['Metadata']['Mentors'] == []
    with pytest.raises(ValueError, match='none.png: there is no such picture'):
        command.main([*argv, 'none.png'])


def test_mmdeploys_config_is_named_where_it_has_one():
    assert facts.mmdeploy_configs('simcc', (192, 256)) == dict(
        onnx='configs/mmpose/pose-detection_simcc_onnxruntime_dynamic.py',
        openvino='configs/mmpose/pose-detection_simcc_openvino_static-256x192.py',
    )
    assert facts.mmdeploy_configs('heatmap', (288, 384))['openvino'] is None


def test_the_calls_take_turns():
    turns = []
    spent = cost.milliseconds({name: lambda name=name: turns.append(name) for name in 'ab'}, 2)
    assert turns == ['a', 'b'] * (cost.WARM_UP + 2) and set(spent) == {'a', 'b'}


LESSONS = '{"classroom_epoch/a/active": 0.4, "classroom_epoch/a/rank": 1.1, "step": 9}'
TWO = ['{"coco/AP": 0.4, "coco/AP (L)": -1.0, "step": 4}', '{"coco/AP": 0.5, "step": 8}']


@pytest.mark.parametrize(
    'lines, step, want',
    [
        (['{"PCK": 93.2, "step": 2, "data_time": 0.1}', LESSONS], 2, dict(PCK=93.2)),
        ([*TWO, LESSONS, '{"loss": 0.1, "taught": 0.3, "step": 8}', '{"ste'], 8, dict(AP=0.5)),
        (TWO, 4, dict(AP=0.4)),
        (TWO, 6, {}),
        (TWO, None, {}),
        ([LESSONS], 9, {}),
    ],
)
def test_metrics_are_those_of_the_weights_and_nothing_elses(tmp_path, lines, step, want):
    (tmp_path / 'a/vis_data').mkdir(parents=True)
    (tmp_path / 'a/vis_data/scalars.json').write_text('\n'.join(lines))
    assert metafile.metrics_at(tmp_path, step) == want
    assert metafile.metrics_at(Path('/nowhere'), step) == {}


@pytest.mark.parametrize(
    'name, step',
    [('epoch_2', 2), ('best_coco_AP_epoch_12', 12), ('iter_500', 500), ('stopped', None)],
)
def test_weights_say_by_their_name_of_which_evaluation_they_are(work_dir, tmp_path, name, step):
    folder = work_dir()
    other = tmp_path / f'other/{name}.pth'
    other.parent.mkdir()
    shutil.copy(folder / 'epoch_2.pth', other)
    assert read_source(folder, str(other)).step is None  # another run's, or nobody's
    shutil.copy(other, folder)
    assert read_source(folder, f'{name}.pth').step == step
    (folder / 'last_checkpoint').write_text(str(other))  # out_dir of MMEngine's hook
    (folder / f'{name}.pth').unlink()
    source = read_source(folder)
    assert (source.checkpoint, source.step) == (other, step)


def test_a_copied_work_dir_exports_its_own_weights(work_dir, tmp_path, monkeypatch):
    """Though the run it was copied from is still there, and so is the path that it names."""
    folder, copy = work_dir(), tmp_path / 'copy'
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))
    shutil.copytree(folder, copy)
    torch.save(dict(state_dict={'head.x': torch.ones(1)}), folder / 'epoch_2.pth')
    monkeypatch.chdir(folder)  # a relative name is the work dir's first
    for given in (None, 'epoch_2.pth'):
        assert read_source(copy, given).checkpoint == copy / 'epoch_2.pth'
    (copy / 'epoch_2.pth').unlink()
    assert read_source(copy).checkpoint == folder / 'epoch_2.pth'
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match='its last_checkpoint names .*, which is not there'):
        read_source(copy)


@pytest.mark.parametrize('broken', [np.nan, np.inf])
def test_a_student_that_diverged_is_no_student(work_dir, broken):
    folder = work_dir(name='alone')
    saved = torch.load(folder / 'epoch_2.pth', weights_only=False)
    next(reversed(saved['state_dict'].values())).fill_(broken)
    torch.save(saved, folder / 'epoch_2.pth')
    with pytest.raises(ValueError, match="epoch_2.pth': the student's .* are not finite: did the "):
        command.main([str(folder)])
    assert not (folder / 'export/student.pth').exists()


def test_how_far_apart_outputs_are():
    ones = np.ones(2)
    assert graph.apart(2 * ones, 3 * ones) == 0.5 and graph.apart(0 * ones, 0 * ones) == 0
    assert graph.apart(0 * ones, ones) == 1 and graph.apart(ones, ones * np.nan) == np.inf


def test_a_second_export_leaves_nothing_of_the_first(work_dir, tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr(command, 'write_stock', lambda *_: 'in another test')
    monkeypatch.setattr(command, 'draw', lambda *_: 'in another test')
    argv = [str(work_dir(name='alone')), '--rounds', '1']
    assert command.main([*argv, '--onnx']) == 0
    assert (tmp_path / 'run/export/end2end.onnx').is_file()
    assert command.main(argv) == 0
    assert not list((tmp_path / 'run/export').glob('end2end.*'))
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match=r'--out \S*file is a file: name a folder'):
        command.main([*argv, '--out', str(tmp_path / 'file')])


@pytest.mark.parametrize(
    'kind, pipeline, to_rgb, want',
    [
        ('CIFAR100', [], False, 'RGB'),  # its pictures are arrays, RGB
        ('CIFAR100', [], True, 'BGR'),
        ('ImageNet', [dict(type='LoadImageFromFile')], True, 'RGB'),
        ('ImageNet', [dict(type='LoadImageFromFile')], False, 'BGR'),
    ],
)
def test_the_order_of_the_channels_is_of_what_arrives_and_what_is_exchanged(
    kind, pipeline, to_rgb, want
):
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type=kind, pipeline=pipeline))))
    preprocessor = SimpleNamespace(mean=torch.ones(3), std=torch.ones(3), to_rgb=to_rgb)
    assert facts._order(cfg, SimpleNamespace(data_preprocessor=preprocessor)) == want
