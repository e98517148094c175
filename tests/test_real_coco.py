"""Training on real COCO pictures, with stock MMPose networks as student and mentors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DATASETS, MODELS, DefaultScope

from classroomkd_mm.analysis.compare import compare, table
from classroomkd_mm.analysis.tables import text

ROOT = Path(__file__).parents[1]
COCO = ROOT.parent / 'shared/data/coco_pose'
pytestmark = [
    pytest.mark.skipif(not COCO.is_dir(), reason='the small COCO set is not beside the checkout'),
    pytest.mark.timeout(900),  # the first test waits for the mentors to learn
]
PEOPLE = 2
ZOO = 'mmpose::body_2d_keypoint/'
# Four forms of mentors: the published pipelines, codecs and heads on a backbone that learns a few
# pictures by heart in seconds.
MENTORS = dict(
    udp='topdown_heatmap/coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-384x288.py',
    simcc='simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py',
    mpii='topdown_heatmap/mpii/td-hm_res50_8xb64-210e_mpii-256x256.py',
    other_norm='topdown_heatmap/coco/td-hm_mobilenetv2_8xb64-210e_coco-256x192.py',
)
COCO_TO_MPII = [(16, 0), (14, 1), (12, 2), (11, 3), (13, 4), (15, 5), (10, 10), (8, 11), (6, 12),
                (5, 13), (7, 14), (9, 15)]  # fmt: skip


@pytest.fixture(scope='module')
def few_people(tmp_path_factory):
    """Annotations of two large people whose keypoints are nearly all labelled."""
    coco = json.loads((COCO / 'annotations/person_keypoints_train2017.json').read_text())
    people = [a for a in coco['annotations'] if a['num_keypoints'] >= 15 and a['area'] > 10000]
    path = tmp_path_factory.mktemp('coco') / 'few.json'
    path.write_text(json.dumps(dict(coco, annotations=people[:PEOPLE])))
    return str(path)


def on_real_people(cfg, annotations):
    """The config on these people, evaluating nothing."""
    cfg.train_dataloader.update(batch_size=PEOPLE, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.update(data_root=f'{COCO}/', ann_file=annotations)
    cfg.train_dataloader.dataset.data_prefix.img = 'train2017/'
    cfg.val_cfg = cfg.val_evaluator = cfg.test_cfg = cfg.test_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    return cfg


def mentor_config(name):
    """A published config with a small backbone."""
    cfg = get_config(ZOO + MENTORS[name])
    cfg.model.backbone = dict(type='ResNet', depth=18, base_channels=16, stem_channels=16)
    cfg.model.head.in_channels = 128
    if name == 'simcc':
        cfg.model.head.update(deconv_out_channels=(32, 32, 32))
    else:
        cfg.model.head.update(deconv_out_channels=(32, 32, 32), deconv_kernel_sizes=(4, 4, 4))
    if name == 'other_norm':
        cfg.model.data_preprocessor.update(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False)
    return cfg


def without_augmentation(dataset):
    """The data set's config, its people always seen alike."""
    dataset.pipeline = [t for t in dataset.pipeline if 'Random' not in t.type]
    return dataset


def learn_by_heart(cfg, steps):
    """A network that has learnt the few people of its config.

    On heatmaps the squared error counts more at the peaks: as it is it starts with a plateau. Every
    second time it sees them soft: a network trained on thousands does not mind resampling.
    """
    torch.manual_seed(0)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    network = MODELS.build(cfg.model)
    network.init_weights()
    network.train()
    batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
    data = network.data_preprocessor(batch, True)
    small = F.interpolate(data['inputs'], scale_factor=2 / 3, mode='bilinear', antialias=True)
    soft = F.interpolate(small, data['inputs'].shape[-2:], mode='bicubic')
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(steps):
        for group in optimizer.param_groups:
            group['lr'] = 3e-3 * (1 - step / steps)
        shown = dict(data, inputs=soft if step % 2 else data['inputs'])
        if cfg.model.head.type == 'HeatmapHead':
            target = torch.stack([s.gt_fields.heatmaps for s in data['data_samples']])
            found = network(shown['inputs'], None, mode='tensor')
            loss = ((found - target).square() * (1 + 50 * target)).mean() * 1000
        else:
            loss = network(**shown, mode='loss')['loss_kpt']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@pytest.fixture(scope='module')
def mentors(few_people, tmp_path_factory):
    """The mentors of a classroom, each having learnt the few people through its own pipeline."""
    settings = []
    for name in MENTORS:
        cfg = mentor_config(name)
        config, checkpoint = (tmp_path_factory.mktemp(name) / f for f in ('c.py', 'c.pth'))
        cfg.dump(str(config))
        dataset = without_augmentation(cfg.train_dataloader.dataset)
        if name == 'mpii':
            convert = dict(type='KeypointConverter', num_keypoints=16, mapping=COCO_TO_MPII)
            dataset.pipeline.insert(2, convert)
            dataset.update(type='CocoDataset', data_prefix=dict(img=''))
        with DefaultScope.overwrite_default_scope('mmpose'):
            network = learn_by_heart(on_real_people(cfg, few_people), 240 if name == 'udp' else 90)
        torch.save(dict(state_dict=network.state_dict()), checkpoint)
        settings.append(dict(name=name, config=str(config), checkpoint=str(checkpoint)))
        settings[-1]['letterbox'] = name == 'mpii'
        settings[-1]['own_resolution'] = name == 'udp'
    return settings


@pytest.fixture
def classroom(few_people, mentors, tmp_path):
    """A published MSRA student's config with the four mentors."""
    cfg = Config.fromfile(
        ROOT / 'configs/pose/coco/classroom_mobilenetv2_8xb64-210e_coco-256x192.py'
    )
    cfg.model.student.backbone.init_cfg = None
    cfg.model.mentors = mentors
    cfg.work_dir = str(tmp_path / 'coco')
    return on_real_people(cfg, few_people)


def test_mentors_of_four_forms_are_read_as_their_own_stock_inference_reads_them(classroom):
    """Within half a heatmap pixel; the larger one sees more when it is shown its own crop."""
    far = compare(classroom, PEOPLE)
    print(text(table(far)))  # docs/published.md; pytest -s
    assert list(far) == list(MENTORS)
    for name, (scored, taught) in far.items():
        assert len(scored) >= 10 * PEOPLE, name
        for apart in (scored, taught):
            assert np.median(apart) < 0.4 and (apart <= 0.5).all(), (name, apart)
    for mentor in classroom.model.mentors:
        mentor.own_resolution = False
    for own, enlarged in zip(far['udp'], compare(classroom, PEOPLE)['udp']):
        assert np.median(own) < 0.6 * np.median(enlarged)
        assert (enlarged <= 0.5).mean() > 0.85, enlarged


def test_mentors_of_four_forms_teach_on_real_people(classroom, train):
    classroom.val_cfg = classroom.val_dataloader = None
    classroom.test_cfg = classroom.test_dataloader = None
    classroom.train_cfg.max_epochs = 2
    without_augmentation(classroom.train_dataloader.dataset)
    train(classroom)
    lines = (Path(classroom.work_dir) / 'classroom.jsonl').read_text().splitlines()
    assert len(lines) == 2
    for record in map(json.loads, lines):
        assert 0 <= record['student_score'] < 1 and record['losses']['loss_distill'] > 0
        for name in MENTORS:  # they know these people, the student does not
            assert record['mentors'][name]['score'] > record['student_score']
            assert record['mentors'][name]['active'] == 1
