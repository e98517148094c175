"""Pose mentors of other forms and keypoint sets, through the distiller and the real runner."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from classroomkd_mm.mentors.zoo import look_up
from classroomkd_mm.registry import MODELS
from classroomkd_mm.structures import Answer
from classroomkd_mm.tasks.pose.keypoints import join_keypoints, names_in_config, published_metainfo

MPII = [
    'right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'pelvis',
    'thorax', 'upper_neck', 'head_top', 'right_wrist', 'right_elbow', 'right_shoulder',
    'left_shoulder', 'left_elbow', 'left_wrist',
]  # fmt: skip
SIMCC = dict(
    type='SimCCLabel', input_size=(48, 64), sigma=(2.0, 2.3), simcc_split_ratio=2.0, normalize=False
)


def simcc_model(heatmap_model, codec=SIMCC, beta=10.0):
    """The same backbone with RTMPose's kind of head."""
    model = copy.deepcopy(heatmap_model)
    model.backbone.strides = (1, 2, 2, 2)
    width, height = codec['input_size']
    model.head = dict(
        type='RTMCCHead', in_channels=64, out_channels=17, input_size=codec['input_size'],
        in_featuremap_size=(-(-width // 32) + (width == 48) * 0, -(-height // 32)),
        simcc_split_ratio=codec['simcc_split_ratio'], final_layer_kernel_size=1,
        gau_cfg=dict(hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0, drop_path=0.0,
                     act_fn='SiLU', use_rel_bias=False, pos_enc=False),
        loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=beta, label_softmax=True),
        decoder=dict(codec),
    )  # fmt: skip
    return model


def hourglass_model(heatmap_model):
    """Two stages, each with heatmaps of its own, and a codec whose pixels are cells."""
    model = copy.deepcopy(heatmap_model)
    model.backbone = dict(
        type='HourglassNet', downsample_times=2, num_stacks=2, stage_channels=(256, 8, 8),
        stage_blocks=(1, 1, 1), feat_channel=256,
    )  # fmt: skip
    model.head = dict(
        type='CPMHead', in_channels=256, out_channels=17, num_stages=2, deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=dict(type='MegviiHeatmap', input_size=(48, 64), heatmap_size=(12, 16),
                     kernel_size=5),
    )  # fmt: skip
    return model


def as_student(cfg, student, codec):
    """Give a demo config another student and its targets."""
    cfg.model.student = student
    for transform in cfg.train_dataloader.dataset.pipeline:
        if transform.type == 'GenerateTarget':
            transform.encoder = dict(codec)
    return cfg


def mentor(name, config, **settings):
    return dict(name=name, config=config.to_dict(), checkpoint=None, **settings)


def test_heatmaps_and_simcc_teach_each_other_in_a_real_run(demo_config, train):
    heatmap = demo_config('mentor_small').model
    finer = dict(SIMCC, simcc_split_ratio=3.0)
    for student, codec in ((heatmap, None), (simcc_model(heatmap), SIMCC)):
        cfg = demo_config('classroom')
        if codec:
            cfg = as_student(cfg, simcc_model(demo_config('alone').model), codec)
        cfg.model.mentors = [
            mentor('heatmap', heatmap),
            mentor('simcc', simcc_model(heatmap)),
            mentor('finer', simcc_model(heatmap, finer)),
            mentor('stages', hourglass_model(heatmap)),
        ]
        cfg.train_cfg.max_epochs = 1
        cfg.work_dir += codec['type'] if codec else ''
        runner = train(cfg)
        with open(f'{cfg.work_dir}/classroom.jsonl') as file:
            record = json.loads(file.readline())
        assert 0 < record['losses']['loss_distill'] < 1e4
        assert all(m['score'] > 0 for m in record['mentors'].values())
        assert all(p.isfinite().all() for p in runner.model.parameters())


def test_of_several_stages_the_last_one_teaches(packed, demo_config):
    cfg = demo_config('classroom').model
    cfg.mentors = [mentor('stages', hourglass_model(demo_config('mentor_small').model))]
    distiller = MODELS.build(cfg)
    inputs = distiller.data_preprocessor(packed(), True)['inputs']
    stages = distiller.mentors[0].network(inputs, None, mode='tensor')
    assert len(stages) == 2
    assert torch.equal(distiller.mentors[0](inputs).parts[0], stages[-1])
    readout = distiller.members[0][1].readout
    assert (readout.offset, readout.sharpness, readout.scale) == (0.5, 10 / 255, (4.0, 4.0))


def test_a_mentor_with_the_students_distribution_has_nothing_to_teach(packed, demo_config):
    """The same network as student and mentor: no distance, by either form and its own bins."""
    for model in (demo_config('alone').model, simcc_model(demo_config('alone').model)):
        cfg = demo_config('classroom').model
        cfg.student, cfg.mentors = model, [mentor('twin', copy.deepcopy(model))]
        distiller = MODELS.build(cfg).eval()
        distiller.mentors[0].network.load_state_dict(distiller.state_dict())
        data = distiller.data_preprocessor(packed(), True)
        assert distiller(**data, mode='loss')['loss_distill'].abs() < 1e-5


def test_keypoints_are_joined_by_name_and_alias():
    index, known = join_keypoints(MPII, ['nose', 'left_wrist', 'right_ankle', 'neck', 'top_head'])
    assert known == [False, True, True, True, True]
    assert [i for i, k in zip(index, known) if k] == [15, 0, 8, 9]


@pytest.mark.parametrize(
    'name, count, first',
    [
        ('td-hm_res50_8xb64-210e_mpii-256x256', 16, 'right_ankle'),
        ('td-hm_res101_8xb64-210e_aic-256x192', 14, 'right_shoulder'),
        ('td-hm_res50_8xb64-210e_crowdpose-256x192', 14, 'left_shoulder'),
        ('td-hm_hrnet-w32_8xb64-210e_coco-wholebody-256x192', 133, 'nose'),
    ],
)
def test_every_zoo_configs_keypoint_names_are_found(name, count, first):
    from mmengine.hub import get_config

    names = names_in_config(get_config(look_up(name, 'test').config))
    assert len(names) == count and names[0] == first


def test_an_mpii_mentor_teaches_a_coco_student_what_both_have(demo_config, train):
    cfg = demo_config('classroom')
    theirs = demo_config('mentor_small').model
    theirs.head.out_channels = 16
    theirs.test_cfg.flip_test = True
    cfg.model.mentors = [
        mentor('mpii', theirs, keypoints=MPII), mentor('coco', demo_config('mentor_small').model)
    ]  # fmt: skip
    cfg.train_cfg.max_epochs = 1
    cfg.custom_hooks += [dict(type='classroomkd_mm.MentorEvalHook')]
    model = train(cfg).model
    taught = model.members[0][1]
    assert taught.known.tolist() == [False] * 5 + [True] * 12
    assert taught.index[9].item() == MPII.index('left_wrist')
    assert model.members[1][1].known is None
    outputs = torch.rand(2, 16, 32, 24)
    assert torch.equal(taught.ours([outputs])[0][:, 16], outputs[:, 0])


def test_keypoints_are_also_joined_without_the_hook_by_the_name_of_the_data_set(
    packed, demo_config
):
    cfg = demo_config('classroom').model
    theirs = demo_config('mentor_small').model
    coco = names_in_config(demo_config('alone'))
    cfg.mentors = [mentor('backwards', theirs, keypoints=coco[::-1])]
    distiller = MODELS.build(cfg)
    distiller(**distiller.data_preprocessor(packed(), True), mode='loss')
    assert distiller.members[0][1].index.tolist() == list(range(17))[::-1]


def test_a_nameless_data_set_and_a_mentor_of_other_keypoints_are_refused(packed, demo_config):
    cfg = demo_config('classroom').model
    theirs = demo_config('mentor_small').model
    theirs.head.out_channels = 16
    cfg.mentors = [mentor('mpii', theirs, keypoints=MPII)]
    distiller = MODELS.build(cfg)
    data = distiller.data_preprocessor(packed(), True)
    for sample in data['data_samples']:
        sample.set_metainfo(dict(dataset_name=None))
    with pytest.raises(RuntimeError, match="'mpii' has other keypoints, and the samples do not na"):
        distiller(**data, mode='loss')


def test_what_a_mentor_lacks_neither_helps_nor_teaches_it(packed, demo_config):
    """It is scored, and compared with the student, on the rest; the lesson is spread over that."""
    cfg = demo_config('classroom').model
    theirs = demo_config('mentor_small').model
    cfg.mentors = [mentor('a', theirs), mentor('b', theirs)]
    distiller = MODELS.build(cfg).eval()
    (a, to_a), (b, to_b) = distiller.members
    b.network.load_state_dict(a.network.state_dict())
    to_b = replace(to_b, known=torch.arange(17) < 12, index=torch.arange(17))
    data = distiller.data_preprocessor(packed(), True)
    student = distiller.task.read(distiller(data['inputs'], None))
    readings = [bridge.read(m(data['inputs'])) for m, bridge in ((a, to_a), (b, to_b))]
    distiller._meet(data['data_samples'])
    truth = distiller.task.ground_truth(data['data_samples'], torch.device('cpu'))
    task = distiller.task
    scores = task.score(distiller.scorer, [student, *readings], [to_a, to_b], truth)
    assert torch.equal(scores.values[2], scores.values[1])
    assert scores.taught.shape[0] == 2 and not scores.taught[1, :, 12:].any()
    assert torch.equal(scores.judged[2], scores.labelled & (torch.arange(17) < 12))
    per_sample = [
        [v[c, n][scores.judged[c, n]].mean().item() for n in range(3)]
        for c, v in enumerate([scores.values] * 3)
    ]
    lesson = distiller.knowledge_filter(scores)
    for n in range(3):
        rival = scores.values[0, n, :12][scores.labelled[n, :12]].mean().item()
        assert bool(lesson.active[1, n]) == (per_sample[2][n] >= rival)
        assert bool(lesson.active[0, n]) == (per_sample[1][n] >= per_sample[0][n])


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(), "mentor 'm' has 16 keypoints, the student 17; join them with keypoints="),
        (dict(keypoints=['pelvis', 'nose'] + ['x'] * 14), 'shares 1 of the 17 keypoints'),
    ],
)
def test_too_little_in_common_is_refused_before_training(demo_config, train, settings, message):
    cfg = demo_config('classroom')
    theirs = demo_config('mentor_small').model
    theirs.head.out_channels = 16
    cfg.model.mentors = [mentor('m', theirs, **settings)]
    with pytest.raises(ValueError, match=message):
        train(cfg)


def test_a_letterboxed_mentor_predicts_in_the_picture(peaks, demo_config):
    """A square mentor of a 3:4 student: the crop reaches beyond the student's, and back."""
    square = demo_config('mentor_small').model
    square.head.decoder.update(input_size=(128, 128), heatmap_size=(32, 32))
    cfg = demo_config('classroom').model
    cfg.mentors = [mentor('m', square, letterbox=True)]
    cfg.distill_loss.beta = 1.0
    model = MODELS.build(cfg)
    ((built, bridge),) = model.members
    assert any('letterboxed' in text for text in bridge.adaptations)
    inputs = torch.randn(1, 3, 64, 48)
    shown = built.view(inputs)
    assert shown.shape[-2:] == (128, 128) and (shown[..., 99:] == 0).all()
    points = torch.tensor([[20.0, 30.0], [40.0, 50.0]]).repeat(9, 1)[:17]  # the student's pixels
    heatmaps = peaks(points * 2 / 4, 32, 32)[None]  # own input is twice as large, stride 4
    read = bridge.read(Answer((heatmaps,), torch.tensor(True)))
    np.testing.assert_allclose(read.guess[0], points, atol=0.2)
    resampled = read.parts[0].unflatten(-1, (32, 24))
    np.testing.assert_allclose(model.task.readout.keypoints([resampled])[0], points, atol=0.2)


@pytest.mark.parametrize('size', [(48, 64), (96, 128)])
@pytest.mark.parametrize('theirs', ['MSRAHeatmap', 'UDPHeatmap'])
@pytest.mark.parametrize('ours', ['MSRAHeatmap', 'UDPHeatmap'])
def test_a_mentors_own_predictions_are_where_its_lessons_are(
    packed, peaks, demo_config, ours, theirs, size
):
    """Peaks at known points of the student's crop, decoded by the mentor's own stock head."""
    from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

    student, other = demo_config('alone').model, demo_config('mentor_small').model
    student.head.decoder.update(type=ours)
    grid = tuple(v // 2 for v in size)
    other.head.decoder.update(type=theirs, input_size=size, heatmap_size=grid)
    if theirs == 'MSRAHeatmap':
        other.head.decoder.unbiased = True  # its default rounds to a quarter of a pixel
    cfg = demo_config('classroom').model
    cfg.student, cfg.mentors = student, [mentor('m', other)]
    ((built, bridge),) = MODELS.build(cfg).members
    points = torch.rand(17, 2) * torch.tensor([30.0, 40.0]) + 9.0
    heatmaps = peaks(points / torch.tensor(bridge.readout.scale), *grid[::-1])[None]
    torch.testing.assert_close(bridge.readout.keypoints([heatmaps])[0], points, atol=0.1, rtol=0)
    built.network.head.forward = lambda feats: heatmaps
    sample = packed(1)['data_samples'][0]
    crop = dict(input_center=np.array([300.0, 200.0]), input_scale=np.array([480.0, 640.0]))
    sample.set_metainfo(crop)
    shown = built.view(torch.zeros(1, 3, 64, 48))
    (found,) = bridge.predict(built.network, shown, [sample])
    warp = get_udp_warp_matrix if ours == 'UDPHeatmap' else get_warp_matrix
    matrix = warp(crop['input_center'], crop['input_scale'], 0.0, (48, 64))
    back = found.pred_instances.keypoints[0] @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, points, atol=0.25)  # a tenth of one of the 24 columns
    assert (sample.input_scale == crop['input_scale']).all() and sample.input_size == (48, 64)


def test_a_loss_that_is_not_linear_in_the_keypoint_weights_takes_no_sample_weights(demo_config):
    cfg = demo_config('classroom').model
    cfg.student.head.loss = dict(type='AdaptiveWingLoss', use_target_weight=True)
    with pytest.raises(ValueError, match='head.loss=AdaptiveWingLoss is not linear'):
        MODELS.build(cfg)
    cfg.knowledge_filter = dict(type='UniformFilter')
    MODELS.build(cfg)


def test_heatmap_values_are_not_compared_with_simcc(demo_config):
    cfg = demo_config('classroom').model
    cfg.mentors = [mentor('m', simcc_model(demo_config('mentor_small').model))]
    cfg.distill_loss = dict(type='MSEDistillLoss')
    with pytest.raises(ValueError, match='MSEDistillLoss compares heatmap values, and a member'):
        MODELS.build(cfg)


def test_rtmposes_backbone_is_mmposes_where_mmdet_is_missing():
    from classroomkd_mm.compat import why_missing
    from classroomkd_mm.mentors import MentorSettings

    if why_missing('mmdet') is None:
        pytest.skip('mmdet is installed here and is used')
    name = 'rtmpose-s_8xb256-420e_aic-coco-256x192'
    network, config = MentorSettings.of(dict(zoo=name, checkpoint=None), 0).build()
    assert type(network.backbone).__module__.startswith('mmpose.')
    assert names_in_config(config)[0] == 'nose'


# Natural logits


def reading_of(cfg, heatmaps):
    model = MODELS.build(cfg)
    return model, model.task.read(heatmaps)


def test_beta_is_the_losses_own_sharpness_and_no_other_losss_beta(demo_config):
    heatmaps = torch.rand(2, 17, 32, 24)
    for loss, sharpness in (
        (dict(type='KLDistillLoss', beta=7.0), 7.0),
        (dict(type='DISTDistillLoss', beta=5.0), 1.0),
        (dict(type='MSEDistillLoss'), 1.0),
    ):
        cfg = demo_config('classroom').model
        cfg.distill_loss = loss
        _, read = reading_of(cfg, heatmaps)
        torch.testing.assert_close(read.parts[0], sharpness * heatmaps.flatten(2))


def test_a_surer_mentor_weighs_more_by_entropy(packed, peaks, demo_config):
    """Peaks of 1 at beta 10 against a flat map: 0.993 to 0.007, not one half each."""
    cfg = demo_config('classroom').model
    theirs = demo_config('mentor_small').model
    cfg.mentors = [mentor('sure', theirs), mentor('unsure', theirs)]
    cfg.knowledge_filter = dict(type='EntropyFilter')
    distiller = MODELS.build(cfg).eval()
    points = torch.rand(17, 2) * torch.tensor([20.0, 28.0]) + 2
    sure = peaks(points, 32, 24)
    for each, maps in zip(distiller.mentors, (sure, 0.01 * sure)):
        each.network.head.forward = lambda feats, maps=maps: maps.expand(3, -1, -1, -1)
    seen = []
    rule = distiller.knowledge_filter.forward
    distiller.knowledge_filter.forward = lambda *args: seen.append(rule(*args)) or seen[0]
    distiller(**distiller.data_preprocessor(packed(), True), mode='loss')
    weight = seen[0].weight
    z = 10 * torch.stack([sure, 0.01 * sure]).flatten(2)
    entropy = -(z.softmax(-1) * z.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(weight[:, 0], 1 - entropy.softmax(0))
    assert (weight[0] > 0.9).all()


# Mentors that know a part


@pytest.fixture
def partial(packed, peaks, demo_config):
    """``partial(score, labelled, **filter)``: one lesson of a mentor with MPII's keypoints.

    ``score`` is its PCK on what it knows: that share of its keypoints stands where it should, the
    rest far away. The student's keypoints are all far away but the face's.
    """

    def run(right, labelled=range(17), **knowledge_filter):
        cfg = demo_config('classroom').model
        theirs = demo_config('mentor_small').model
        theirs.head.out_channels = 16
        cfg.mentors = [mentor('mpii', theirs, keypoints=MPII)]
        cfg.scorer = dict(type='PCKScorer', thr=0.1)
        cfg.knowledge_filter = dict(type='KnowledgeFilter', **knowledge_filter)
        model = MODELS.build(cfg).eval()
        data = model.data_preprocessor(packed(1), True)
        sample = data['data_samples'][0]
        names = names_in_config(demo_config('alone'))
        truth = torch.stack([torch.arange(17.0) + 3, torch.full((17,), 8.0)], -1)
        sample.gt_instances.transformed_keypoints = 2 * truth[None].numpy()
        sample.gt_instances.bboxes = np.array([[0.0, 0.0, 48.0, 64.0]])
        kept = [k in labelled for k in range(17)]
        sample.gt_instance_labels.keypoint_weights = torch.tensor([kept]).float()
        mpii = torch.full((16, 2), 28.0)
        mpii[:, 0] = 2
        known = [k for k in range(17) if names[k] in MPII]
        for k in known[: round(right * len(known))]:
            mpii[MPII.index(names[k])] = truth[k]
        ours = torch.where(torch.arange(17)[:, None] < 5, truth, torch.tensor([2.0, 28.0]))
        model.mentors[0].network.head.forward = lambda feats: peaks(mpii, 32, 24)[None]
        model.head.forward = lambda feats: peaks(ours, 32, 24)[None]
        return model(**data, mode='loss')

    return run


@pytest.mark.parametrize(
    'right, min_score, active',
    [(1.0, 0.8, 1), (1.0, 0.99, 1), (0.5, 0.7, 0), (0.5, 0.4, 1), (0.5, None, 1)],
)
def test_a_mentors_score_is_its_own_and_not_partly_the_students(partial, right, min_score, active):
    losses = partial(right, min_score=min_score)
    assert losses['classroom/mpii/score'].item() == pytest.approx(right)
    assert losses['classroom/mpii/active'] == active
    assert losses['classroom/student_score'].item() == pytest.approx(5 / 17)


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_where_nothing_that_a_mentor_knows_is_labelled_it_neither_teaches_nor_counts(
    partial, granularity
):
    losses = partial(1.0, labelled=range(5), granularity=granularity)
    assert losses['classroom/mpii/active'] == 0 and losses['loss_distill'] == 0


def test_a_mentor_is_compared_with_the_student_on_what_it_knows_alone(partial):
    """On the body the student has nothing right: any mentor is ahead of it, and by how far."""
    losses = partial(0.25, decimals=None)
    assert losses['classroom/mpii/active'] == 1
    assert losses['classroom/mpii/temperature'].item() == pytest.approx(3.0)  # 1 + alpha * 1
    losses = partial(0.25, granularity='keypoint')
    assert losses['classroom/mpii/active'].item() == pytest.approx(3 / 12)


# The data set's metainfo without the hook


def test_a_data_set_of_ones_own_needs_no_metainfo_that_nobody_asks_for(packed, demo_config):
    cfg = demo_config('classroom').model
    cfg.scorer = dict(type='PCKScorer', thr=0.2)
    distiller = MODELS.build(cfg)
    data = distiller.data_preprocessor(packed(), True)
    for sample in data['data_samples']:
        sample.set_metainfo(dict(dataset_name='my_people'))
        sample.gt_instances.bboxes = np.array([[0.0, 0.0, 48.0, 64.0]])
    assert distiller(**data, mode='loss')['loss_distill'].isfinite()


@pytest.mark.parametrize('name', ['my_people', 'aic', None])
def test_who_needs_the_metainfo_names_the_hook(packed, demo_config, name):
    """Also where a part of a CombinedDataset says its own name, of other keypoints."""
    distiller = MODELS.build(demo_config('classroom').model)
    data = distiller.data_preprocessor(packed(), True)
    data['data_samples'][0].set_metainfo(dict(dataset_name=name))
    with pytest.raises(ValueError, match='needs 17 sigmas .* ClassroomHook .*add it to custom_ho'):
        distiller(**data, mode='loss')
    for sample in data['data_samples']:
        sample.set_metainfo(dict(dataset_name=name))
    with pytest.raises(ValueError, match='needs 17 sigmas .* ClassroomHook .*add it to custom_ho'):
        distiller(**data, mode='loss')


def test_predictions_of_other_keypoints_are_the_students_and_asked_once(packed, demo_config):
    """0 sure of what the mentor lacks; the flip indices of the samples would be wrong for it."""
    theirs = demo_config('mentor_small').model
    theirs.head.out_channels = 3
    theirs.test_cfg.flip_test = True
    cfg = demo_config('classroom').model
    cfg.mentors = [
        mentor('m', theirs, keypoints=['right_hip', 'nose', 'a tail'], min_shared_keypoints=2)
    ]
    model = MODELS.build(cfg)
    data = model.data_preprocessor(packed(2), False)
    model._join(published_metainfo('coco'))
    ((built, bridge),) = model.members
    asked, forward = [], built.network.head.forward
    built.network.head.forward = lambda feats: asked.append(1) or forward(feats)
    found = bridge.predict(built.network, data['inputs'], data['data_samples'])
    assert len(asked) == 1 and built.network.test_cfg['flip_test']
    stock = InstanceData(
        keypoints=np.arange(6.0).reshape(1, 3, 2),
        keypoint_scores=np.array([[0.5, 0.25, 0.75]]),
        keypoints_visible=np.array([[0.1, 0.2, 0.3]]),
        bbox_scores=np.ones(1),
    )
    ours = bridge.carried(stock)
    nose, hip = 0, 12
    assert ours.keypoints[0, [nose, hip]].tolist() == [[2, 3], [0, 1]]
    for key, given in (('keypoint_scores', [0.25, 0.5]), ('keypoints_visible', [0.2, 0.1])):
        assert ours[key][0, [nose, hip]].tolist() == given
        assert np.delete(ours[key][0], [nose, hip]).tolist() == [0] * 15
    assert ours.bbox_scores == 1 and found[0].pred_instances.keypoints.shape == (1, 17, 2)
    assert replace(bridge, known=None).carried(stock) is stock


def test_the_samples_crops_are_restored_where_a_mentor_fails(packed, demo_config):
    other = demo_config('mentor_small').model
    other.head.decoder.update(input_size=(96, 128), heatmap_size=(24, 32))
    cfg = demo_config('classroom').model
    cfg.mentors = [mentor('m', other)]
    ((built, bridge),) = MODELS.build(cfg).members
    samples = packed(2)['data_samples']
    samples[1].set_metainfo(dict(input_scale='no scale'))
    before = [dict(sample.metainfo) for sample in samples]
    with pytest.raises(Exception, match='.'):
        bridge.predict(built.network, torch.zeros(2, 3, 128, 96), samples)
    for sample, meta in zip(samples, before):
        assert np.array_equal(sample.input_size, meta['input_size'])
        assert np.array_equal(sample.input_scale, meta['input_scale'])


def test_a_loss_that_does_not_fit_the_head_is_named(demo_config):
    cfg = demo_config('classroom').model
    cfg.student.head.loss = dict(type='KeypointOHKMMSELoss', use_target_weight=True, topk=40)
    with pytest.raises(ValueError, match='student.head.loss=KeypointOHKMMSELoss does not fit the'):
        MODELS.build(cfg)


@pytest.mark.parametrize(
    'flips, known', [(None, True), ('coco', True), ('posetrack18', False), ('shuffled', True)]
)
def test_a_converted_part_of_another_set_is_not_the_set(packed, demo_config, flips, known):
    """PoseTrack18 has 17 keypoints, too; CombinedDataset tells samples its own left and right."""
    distiller = MODELS.build(demo_config('classroom').model)
    data = packed()
    for sample in data['data_samples']:
        sample.set_metainfo(dict(flip_indices=[1, 2, 0, *range(3, 17)]))  # of no data set
        if flips in (None, 'coco', 'posetrack18'):
            name = 'coco' if flips is None else flips
            sample.set_metainfo(dict(dataset_name=name))
            pairs = published_metainfo('coco')['flip_indices']
            sample.set_metainfo(dict(flip_indices=pairs if flips else ()))
    found = distiller.task.find_metainfo(data['data_samples'])
    assert bool(found) == known


def test_a_data_set_without_keypoint_names_is_asked_for_them_where_they_are_needed(demo_config):
    coco = names_in_config(demo_config('alone'))
    theirs = demo_config('mentor_small').model
    for names, needed in ((None, False), (coco[::-1], True)):
        cfg = demo_config('classroom').model
        cfg.mentors = [mentor('m', theirs, **(dict(keypoints=names) if names else {}))]
        ((_, bridge),) = MODELS.build(cfg).members
        if needed:
            with pytest.raises(ValueError, match="metainfo names no keypoints, and mentors' are"):
                bridge.joined({})
        else:
            assert bridge.joined({}).index is None
