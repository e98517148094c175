"""A classifier goes out: probabilities, its own networks said to need this package."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from classroomkd_mm.__main__ import main
from classroomkd_mm.backbones import cifar_classifier
from classroomkd_mm.export import graph

SCOPE = 'mmpretrain'
STOCK = dict(
    type='ImageClassifier',
    backbone=dict(type='MobileNetV2', widen_factor=0.25),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=1280),
)


@pytest.mark.parametrize(
    'model, said',
    [
        (STOCK, 'load and predict the same in a process without classroomkd_mm'),
        (cifar_classifier('resnet8', num_classes=5), 'not tried without classroomkd_mm'),
    ],
)
def test_a_classifier_gives_probabilities(model, said, tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    preprocessor = dict(num_classes=5, mean=[125.3] * 3, std=[62.9] * 3, to_rgb=False)
    cfg = Config(dict(default_scope=SCOPE, model=model, data_preprocessor=preprocessor))
    cfg.test_dataloader = dict(dataset=dict(type='CIFAR100', pipeline=[]))
    cfg.dump(str(tmp_path / 'plain.py'))
    torch.manual_seed(0)
    network = MODELS.build(cfg.model).eval()
    torch.save(dict(state_dict=network.state_dict()), tmp_path / 'a.pth')
    argv = ['export', str(tmp_path), '--onnx', '--checkpoint', str(tmp_path / 'a.pth')]
    assert main([*argv, '--rounds', '1']) == 0, capsys.readouterr().err
    facts = json.loads((tmp_path / 'export/export.json').read_text())
    assert facts['input']['shape'] == ['batch', 3, 32, 32] and said in facts['stock']
    assert facts['normalisation']['channels'] == 'RGB' and facts['gives'] == 'scores'
    assert facts['mmdeploy']['onnx'].endswith('classification_onnxruntime_dynamic.py')
    inputs = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        want = network(inputs, mode='tensor').softmax(-1).numpy()
    (got,) = graph.onnx_runs(tmp_path / 'export/end2end.onnx')(inputs.numpy())
    assert np.allclose(want, got, atol=1e-5) and np.allclose(got.sum(-1), 1, atol=1e-5)
    assert 'no predictions.png' in capsys.readouterr().out


@pytest.mark.parametrize('names', [('apple', 'bear', 'crane', 'dog', 'elm'), ()])
def test_names_that_only_the_checkpoint_knows_go_along(names, tmp_path):
    """Those of a data set's folders, as MMEngine keeps them."""
    preprocessor = dict(num_classes=5, mean=[125.3] * 3, std=[62.9] * 3, to_rgb=False)
    cfg = Config(dict(default_scope=SCOPE, model=STOCK, data_preprocessor=preprocessor))
    cfg.test_dataloader = dict(dataset=dict(type='CustomDataset', data_root='nowhere', pipeline=[]))
    cfg.dump(str(tmp_path / 'plain.py'))
    meta = dict(dataset_meta=dict(classes=names)) if names else {}
    torch.save(dict(state_dict=MODELS.build(STOCK).state_dict(), meta=meta), tmp_path / 'a.pth')
    argv = ['export', str(tmp_path), '--checkpoint', str(tmp_path / 'a.pth'), '--rounds', '1']
    assert main([*argv, '--input-size', '32', '32']) == 0
    assert json.loads((tmp_path / 'export/export.json').read_text())['classes'] == list(names)
    assert torch.load(tmp_path / 'export/student.pth', weights_only=True)['meta'] == meta
