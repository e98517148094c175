"""Mentors of larger inputs that are shown their own crops, through the real runner."""

import copy
from pathlib import Path

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, HOOKS, TRANSFORMS
from mmengine.runner import Runner

from classroomkd_mm.analysis import check, compare, cost, remember
from classroomkd_mm.datasets import own_crops
from classroomkd_mm.datasets.own_crops import CutsOwnCrops
from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.standins import PipelineSwitchHook
from classroomkd_mm.structures import OwnCrop

SIZE = (96, 128)
CODECS = dict(
    msra=dict(type='MSRAHeatmap', input_size=SIZE, heatmap_size=(48, 64), sigma=2),
    udp=dict(type='UDPHeatmap', input_size=SIZE, heatmap_size=(48, 64), sigma=2),
)


def mentor_config(cfg, codec):
    """The demo's small mentor for larger pictures, its pipelines cropping as its codec does."""
    cfg.model.head.decoder = codec
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for step in cfg[loader].dataset.pipeline:
            if step.type == 'TopdownAffine':
                step.update(input_size=SIZE, use_udp=codec['type'] == 'UDPHeatmap')
            elif step.type == 'GenerateTarget':
                step.encoder = codec
    return cfg


@pytest.fixture
def classroom(demo_config, tmp_path):
    """A classroom of two mentors with twice the student's input, one by UDP, weights in files."""
    cfg, settings = demo_config('aver'), []
    for seed, (name, codec) in enumerate(CODECS.items()):
        config, checkpoint = tmp_path / f'{name}.py', tmp_path / f'{name}.pth'
        mentor_config(demo_config('mentor_small'), codec).dump(str(config))
        entry = dict(name=name, config=str(config), checkpoint=None)
        torch.manual_seed(seed)
        network, _ = MentorSettings.of(entry, 0).build()
        network.head.final_layer.bias.data += 1.0  # MMPose reads no peak from negative heatmaps
        torch.save(network.state_dict(), checkpoint)
        settings.append(dict(entry, checkpoint=str(checkpoint), own_resolution=True))
    cfg.model.mentors = settings
    cfg.model.distill_loss.loss_weight = 1.0
    return cfg


@TRANSFORMS.register_module(force=True)
class TheOtherWay(BaseTransform):
    """The same turn: MMPose's UDP turns a box by its angle the other way round."""

    def transform(self, results):
        results['bbox_rotation'] = -results['bbox_rotation']
        return results


def with_views(cfg, memory=None):
    cfg.train_dataloader.dataset = dict(
        type='classroomkd_mm.FixedViews', views=2, dataset=cfg.train_dataloader.dataset
    )
    if memory is not None:
        cfg.model.memory = dict(dir=str(memory))
    return Config(cfg.to_dict())


def weights(runner):
    return {key: value.clone() for key, value in runner.model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture
def cuts(monkeypatch):
    """How often a mentor's crop was cut in this process, by the crop's name."""
    counted, stock = [], CutsOwnCrops._cut

    def count(self, results, crop):
        counted.append(crop.name)
        return stock(self, results, crop)

    monkeypatch.setattr(CutsOwnCrops, '_cut', count)
    return counted


def build(cfg):
    model = check.build_classroom(cfg)
    return model.eval(), DATASETS.build(cfg.train_dataloader.dataset)


@pytest.mark.parametrize('udp', [False, True])
def test_a_mentor_is_asked_what_its_stock_network_is_asked(classroom, udp):
    """By its own pipeline and preprocessor, on the student's augmented box; read where it is."""
    for step in classroom.train_dataloader.dataset.pipeline:
        if step.type == 'TopdownAffine':
            step.use_udp = udp  # whatever the student's codec is
    pipelines = copy.deepcopy(classroom)
    model, dataset = build(with_views(classroom))
    model.prepare(dataset)
    shown = model.data_preprocessor(pseudo_collate([dataset[i] for i in (1, 30)]), False)
    for name, (mentor, bridge) in zip(CODECS, model.members):
        own = Config.fromfile(classroom.model.mentors[list(CODECS).index(name)]['config'])
        pipeline = own.train_dataloader.dataset.pipeline
        if udp != (name == 'udp'):
            pipeline.insert(-3, dict(type='TheOtherWay'))
        pipelines.train_dataloader.dataset.pipeline = pipeline
        stock = DATASETS.build(with_views(copy.deepcopy(pipelines)).train_dataloader.dataset)
        batch = mentor.network.data_preprocessor(pseudo_collate([stock[i] for i in (1, 30)]), False)
        theirs = mentor.network(batch['inputs'], None, mode='tensor')
        ours = mentor(shown['inputs'], samples=shown['data_samples'])
        assert torch.allclose(ours.parts[0], theirs, atol=1e-5)
        # Its labels, put where its network would say them, are the student's labels; MSRA's are
        # rounded to a pixel of its heatmaps, which is as large as one of the student's input.
        targets = torch.stack([s.gt_fields.heatmaps for s in batch['data_samples']])
        read = bridge.readout.keypoints([targets])
        points, visible = (
            torch.stack([torch.as_tensor(s.gt_instances[key][0]) for s in shown['data_samples']])
            for key in ('transformed_keypoints', 'keypoints_visible')
        )
        inside = (points > 1).all(-1) & (points < torch.tensor([47.0, 63.0])).all(-1)
        far = (read - points).norm(dim=-1)[inside & (visible > 0)]
        assert len(far) > 10 and far.max() < (0.05 if name == 'udp' else 0.72), (name, far.max())


def test_keypoints_are_those_of_stock_inference(classroom):
    """As they are scored. UDP's decoder blurs a map first, and a random one has no clear peak."""
    classroom.model.mentors.pop()
    (scored, _) = compare.compare(classroom, 8)['msra']
    assert len(scored) > 40 and scored.max() < 0.36
    classroom.model.mentors[0].pop('own_resolution')
    (enlarged, _) = compare.compare(classroom, 8)['msra']
    assert enlarged.max() > 0.5  # the test of the test


def test_a_run_with_lasting_workers_resumes_to_the_same_bits(classroom, train, tmp_path):
    cfg = with_views(classroom)
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    whole = train(cfg)
    assert (Path(cfg.work_dir) / 'classroom.jsonl').read_text().count('"udp"') == 2
    killed = copy.deepcopy(cfg)
    killed.work_dir = str(tmp_path / 'killed')
    train(killed)
    Path(killed.work_dir, 'epoch_2.pth').unlink()
    Path(killed.work_dir, 'last_checkpoint').write_text(str(Path(killed.work_dir, 'epoch_1.pth')))
    assert same(weights(whole), weights(train(killed, resume=True)))


@HOOKS.register_module(force=True)
class DrawsAhead(Hook):
    """As upstream's MMEngine, whose loop by iterations starts its workers when it is built."""

    priority = 'VERY_HIGH'

    def before_train(self, runner):
        loop = runner.train_loop.dataloader_iterator
        loop._iterator = iter(runner.train_dataloader)


@pytest.mark.parametrize('ahead', [False, True])
def test_a_run_by_iterations_brings_crops_from_the_first(classroom, train, ahead):
    cfg = classroom
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    cfg.train_dataloader.sampler.type = 'InfiniteSampler'
    cfg.train_cfg = dict(by_epoch=False, max_iters=4, val_interval=4)
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=4, by_epoch=False)
    cfg.param_scheduler = None
    if ahead:
        cfg.custom_hooks.append(dict(type='DrawsAhead'))
    assert train(cfg).iter == 4


def switched(cfg, pipeline):
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    hook = dict(type=PipelineSwitchHook, switch_epoch=1, switch_pipeline=pipeline)
    cfg.custom_hooks = [*cfg.custom_hooks, hook]
    return cfg


def test_a_pipeline_that_is_exchanged_later_cuts_as_well(classroom, train):
    cfg = classroom
    later = [s for s in cfg.train_dataloader.dataset.pipeline if 'Random' not in s.type]
    assert train(switched(cfg, later)).iter == 6


def test_a_later_pipeline_that_cannot_is_refused_before_training(classroom, train):
    later = classroom.train_dataloader.dataset.pipeline[:-1]
    with pytest.raises(ValueError, match=r'\(Compose\) has no PackPoseInputs'):
        train(switched(classroom, later))
    assert not list(Path(classroom.work_dir).glob('*.pth'))


def test_a_memory_is_filled_and_read_and_then_nothing_is_cut(classroom, train, cuts, tmp_path):
    cfg = with_views(classroom, tmp_path / 'memory')
    filling = train(cfg)
    # A crop a mentor, of each of 24 samples in 2 views, and of a few that are looked at before.
    assert 96 <= len(cuts) <= 96 + 16 + 8, len(cuts)
    cuts.clear()
    cfg.work_dir = str(tmp_path / 'reading')
    reading = train(cfg)
    assert not cuts and not any(mentor.built for mentor in reading.model.mentors)
    assert same(weights(filling), weights(reading))
    path = tmp_path / 'memory' / 'udp' / 'answers.bin'
    with path.open('r+b') as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(64))  # torn
    cfg.work_dir = str(tmp_path / 'torn')
    torn = train(cfg)
    assert set(cuts) == {'own_crop_96x128_udp'} and len(cuts) <= 4
    assert [mentor.built for mentor in torn.model.mentors] == [False, True]


def test_workers_see_what_is_remembered_meanwhile(classroom, train, tmp_path, monkeypatch):
    """In the second epoch of one view lasting workers cut nothing more."""
    stock = CutsOwnCrops._cut

    def told(self, results, crop):
        with (tmp_path / 'cut').open('a') as file:
            file.write('.')
        return stock(self, results, crop)

    monkeypatch.setattr(CutsOwnCrops, '_cut', told)
    cfg = with_views(classroom, tmp_path / 'memory')
    cfg.train_dataloader.dataset.views = 1
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    cfg.train_cfg.max_epochs = 4
    train(cfg)
    # 24 samples, 2 mentors: once, and again what a worker had prepared before it was answered.
    assert 48 <= len((tmp_path / 'cut').read_text()) < 48 + 2 * 16 + 24


@pytest.mark.parametrize('first', [False, True])
def test_a_memory_of_the_other_setting_is_refused_by_name(classroom, train, tmp_path, first):
    cfg = with_views(classroom, tmp_path / 'memory')
    cfg.train_cfg.max_epochs = 1
    for mentor in cfg.model.mentors:
        mentor.own_resolution = first
    train(cfg)
    for mentor in cfg.model.mentors:
        mentor.own_resolution = not first
    own, other = 'own_resolution=True, own_crop_96x128', r'Resize\(size=\(128, 96\)'
    words = f'{own} in the memory, {other}' if first else f'{other}.* in the memory, {own}'
    with pytest.raises(ValueError, match=f"mentor 'msra' answered .*resize: {words}"):
        train(cfg, work_dir=str(tmp_path / 'again'))


def test_a_memory_filled_ahead_is_the_runs(classroom, train, cuts, tmp_path, capsys):
    cfg = with_views(classroom, tmp_path / 'memory')
    cfg.model.memory.keep = 10000  # all of it: a random network's maps have no peaks
    cfg.dump(str(tmp_path / 'classroom.py'))
    command = [str(tmp_path / 'classroom.py'), '--workers', '0', '--device', 'cpu']
    remember.main(command)
    remember.main([*command, '--check', '0.2'])
    assert capsys.readouterr().out.count('100.00%') >= 2  # keypoints within 0.05 px
    cuts.clear()
    assert not any(mentor.built for mentor in train(cfg).model.mentors) and not cuts


def test_mentors_are_evaluated_on_their_own_crops(classroom, train, demo_config, tmp_path):
    """What MMPose's own test of the mentor gives; the student's data stay as they are."""
    evaluator = [dict(type='PCKAccuracy', thr=0.5), dict(type='EPE')]
    classroom.val_evaluator = evaluator
    classroom.val_dataloader.num_workers = 1
    classroom.val_dataloader.persistent_workers = True
    classroom.train_cfg.max_epochs = 1
    classroom.train_cfg.val_interval = 1
    classroom.custom_hooks.append(dict(type='classroomkd_mm.MentorEvalHook'))
    runner = train(classroom)
    assert not any(
        'Own' in type(t).__name__ for t in runner.val_dataloader.dataset.pipeline.transforms
    )
    (log,) = Path(classroom.work_dir).glob('*/*.log')
    rows = {line.split()[0]: line.split()[1:] for line in log.read_text().splitlines() if line}
    for entry in classroom.model.mentors:
        alone = Config.fromfile(entry['config'])
        alone.update(work_dir=str(tmp_path / 'alone'), load_from=entry['checkpoint'])
        alone.test_dataloader = alone.val_dataloader
        alone.test_evaluator = evaluator
        alone.experiment_name = f'alone_{entry["name"]}'
        found = Runner.from_cfg(alone).test()
        reached = [float(cell) for cell in rows[entry['name']]]
        assert reached == pytest.approx(list(found.values()), rel=1e-3)


def test_the_tools_show_mentors_their_crops(classroom, tmp_path):
    rows = check.check(classroom, classroom.model.mentors, batch=2)
    assert [row[1] for row in rows[1:]] == ['yes', 'yes']
    assert 'its own crop of 96x128' in rows[1][-1]
    times = cost.measure(cost.steps(classroom, 2, memory=str(tmp_path / 'm')), 1)
    assert {'mentor udp', 'classroom with memory'} <= times.keys()


def changed(**settings):
    def change(cfg):
        cfg.model.mentors[0].update(settings)

    return change


def another_shape(cfg):
    cfg.model.student.head.decoder.update(input_size=(64, 64), heatmap_size=(32, 32))


@pytest.mark.parametrize(
    'change, words',
    [
        (changed(own_resolution=(96, 128)), r'own_resolution=\(96, 128\) must be True or False'),
        (changed(letterbox=True), 'letterbox=True pads .* own_resolution=True cuts .* one of them'),
        (another_shape, 'input size 96x128, the student 64x64: of another aspect ratio Topdown'),
        (changed(input_size=(96, 128)), 'input_size is for classifiers'),
    ],
)
def test_what_cannot_be_combined_is_refused(classroom, change, words):
    change(classroom)
    with pytest.raises((TypeError, ValueError), match=f"mentor 'msra'.*{words}"):
        check.build_classroom(classroom)


def test_a_student_whose_preprocessor_changes_batches_is_refused(classroom):
    model, dataset = build(classroom)
    model.data_preprocessor.batch_augments = [lambda inputs, samples: (inputs, samples)]
    with pytest.raises(ValueError, match="mentor 'msra': own_resolution=True, .* batch_augments"):
        model.prepare(dataset)


def test_classifiers_have_no_own_resolution():
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/cls/fashion_mnist/classroom.py')
    cfg.model.mentors[0].own_resolution = True
    with pytest.raises(ValueError, match='own_resolution is for pose networks, and this is a men'):
        check.build_classroom(cfg)


def test_samples_that_nobody_prepared_name_the_mentor_and_the_hook(classroom):
    model, dataset = build(classroom)
    data = model.data_preprocessor(pseudo_collate([dataset[0]]), True)
    with pytest.raises(
        RuntimeError, match="mentor 'msra' has own_resolution=True, .*ClassroomHook"
    ):
        model(**data, mode='loss')


def test_the_crop_of_a_mentor_comes_in_its_own_colours(classroom):
    """A mentor that takes BGR between 0 and 1 of pictures that arrive as BGR."""
    config = Config.fromfile(classroom.model.mentors[0]['config'])
    config.model.data_preprocessor.update(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False)
    classroom.model.mentors[0]['config'] = config
    model, dataset = build(with_views(classroom))
    model.prepare(dataset)
    sample = dataset[3]
    data = model.data_preprocessor(pseudo_collate([sample]), False)
    raw = own_crops([sample['data_samples']], OwnCrop((128, 96), False), torch.zeros(1), 'm')
    shown = model.mentors[0].shown(data['inputs'], data['data_samples'])
    assert torch.allclose(shown, raw / 255, atol=1e-6) and shown.max() > 0.5
