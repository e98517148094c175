"""Training on real COCO pictures, with stock MMPose networks as student and mentor."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

COCO = Path(__file__).parents[2] / 'shared/data/coco_pose'


@pytest.mark.skipif(not COCO.is_dir(), reason='the small COCO set is not beside the checkout')
def test_a_coco_config_trains_on_real_people(train, tmp_path):
    cfg = Config.fromfile(
        Path(__file__).parents[1]
        / 'configs/pose/coco'
        / 'classroom_mobilenetv2_8xb64-210e_coco-256x192.py'
    )
    cfg.model.student.backbone.init_cfg = None
    cfg.model.mentors = cfg.model.mentors[-1:]
    cfg.model.mentors[0].checkpoint = None
    cfg.train_dataloader.update(batch_size=4, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.update(data_root=f'{COCO}/', indices=8)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    cfg.train_cfg.max_epochs = 1
    cfg.work_dir = str(tmp_path / 'coco')
    train(cfg)
    record = json.loads((tmp_path / 'coco/classroom.jsonl').read_text())
    assert record['iter'] == 2 and 0 < record['student_score'] < 1
    assert 0 <= record['mentors']['res50']['active'] <= 1
