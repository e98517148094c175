"""How outputs of heads are read: scales, sizes, natural logits, what is refused."""

import json
import re
from types import SimpleNamespace

import pytest
import torch
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.models.heads import (
    AssociativeEmbeddingHead,
    CPMHead,
    HeatmapHead,
    MSPNHead,
    SimCCHead,
    VisPredictHead,
)
from torch import nn

from classroomkd_mm.functional import (
    decode_heatmaps,
    heatmap_marginals,
    product_heatmap,
    resample_bins,
    resample_heatmaps,
)
from classroomkd_mm.tasks.pose.readouts import (
    HeatmapReadout,
    SimCCReadout,
    as_plain,
    crop_extent,
    crops_as_udp,
    from_plain,
    has_stages,
    keypoint_head,
    readout_of,
    target_level,
)

HEATMAPS = HeatmapReadout((4.0, 2.0), (6, 8), 'MSRAHeatmap', 3.0, 0.5)
PLAIN = HeatmapReadout((2.0, 1.0), (12, 16), 'UDPHeatmap')
BINS = SimCCReadout((0.5, 0.25), (48, 64), 'SimCCLabel', 2.0)
FINER = SimCCReadout((0.25, 0.5), (96, 32), 'SimCCLabel', 5.0)


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_readouts_are_told_in_a_few_words_and_kept_as_json():
    assert str(HEATMAPS) == 'MSRAHeatmap 6x8' and str(BINS) == 'SimCCLabel 48+64'
    for each in (HEATMAPS, BINS):
        plain = as_plain(each)
        assert plain['kind'] == ('heatmap' if each is HEATMAPS else 'simcc')
        assert from_plain(json.loads(json.dumps(plain))) == each
    assert (HEATMAPS.maps, BINS.maps) == (1, 2)


def test_as_seen_from_the_students_crop():
    moved = HEATMAPS.of_crop((0.5, 3.0), 10.0)
    assert moved == HeatmapReadout((2.0, 6.0), (6, 8), 'MSRAHeatmap', 30.0, 0.5)
    assert BINS.of_crop((0.5, 3.0), 10.0) == SimCCReadout((0.25, 0.75), (48, 64), 'SimCCLabel', 2.0)


def test_heatmaps_are_natural_logits_on_the_targets_grid_or_bins():
    maps = rand(2, 3, 8, 6)
    assert torch.equal(HEATMAPS.keypoints([maps]), decode_heatmaps(maps, (4.0, 2.0), 0.5))
    (got,) = HEATMAPS.parts([maps], PLAIN)
    want = resample_heatmaps(3 * maps, (4.0, 2.0), (16, 12), (2.0, 1.0), (0.5, 0.0))
    torch.testing.assert_close(got, want.flatten(2))
    (same,) = HEATMAPS.parts([maps], HEATMAPS)
    torch.testing.assert_close(same, 3 * maps.flatten(2))
    vectors = HEATMAPS.parts([maps], BINS)
    x, y = heatmap_marginals(3 * maps)
    torch.testing.assert_close(vectors[0], resample_bins(x, 4.0, 48, 0.5, (0.5, 0.0)))
    torch.testing.assert_close(vectors[1], resample_bins(y, 2.0, 64, 0.25, (0.5, 0.0)))
    own = rand(2, 3, 16, 12)
    assert torch.equal(PLAIN.parts([own], PLAIN)[0], own.flatten(2))


def test_bins_are_natural_logits_on_the_targets_bins_or_grid():
    x, y = rand(2, 3, 48), rand(2, 3, 64)
    points = BINS.keypoints((x, y))
    want = torch.stack([x.argmax(-1) * 0.5, y.argmax(-1) * 0.25], -1)
    assert torch.equal(points, want)
    other = BINS.parts((x, y), FINER)
    torch.testing.assert_close(other[0], resample_bins(2 * x, 0.5, 96, 0.25))
    torch.testing.assert_close(other[1], resample_bins(2 * y, 0.25, 32, 0.5))
    (got,) = BINS.parts((x, y), HEATMAPS)
    axes = (
        resample_bins(2 * z, own, size, scale, (0.0, 0.5))
        for z, own, size, scale in ((x, 0.5, 6, 4.0), (y, 0.25, 8, 2.0))
    )
    torch.testing.assert_close(got, product_heatmap(*axes).flatten(2))


# Of networks


SIZES = dict(input_size=(48, 64), heatmap_size=(12, 16))
MSRA = dict(type='MSRAHeatmap', sigma=2.0, **SIZES)
SIMCC = dict(type='SimCCLabel', input_size=(48, 64), simcc_split_ratio=2.5)


def heatmap_head(decoder):
    return HeatmapHead(8, 3, deconv_out_channels=None, decoder=decoder)


def network(head):
    return SimpleNamespace(head=head)


@pytest.mark.parametrize(
    'decoder, readout',
    [
        (MSRA, HeatmapReadout((4.0, 4.0), (12, 16), 'MSRAHeatmap')),
        (
            dict(type='UDPHeatmap', **SIZES),
            HeatmapReadout((47 / 11, 63 / 15), (12, 16), 'UDPHeatmap'),
        ),
        (
            dict(type='MegviiHeatmap', kernel_size=5, **SIZES),
            HeatmapReadout((4.0, 4.0), (12, 16), 'MegviiHeatmap', 1 / 255, 0.5),
        ),
    ],
)
def test_a_heatmap_heads_readout_is_its_codecs(decoder, readout):
    found = readout_of(network(heatmap_head(decoder)), 'a mentor')
    assert (found.size, found.codec, found.offset) == (readout.size, readout.codec, readout.offset)
    assert found.scale == pytest.approx(readout.scale) and found.sharpness == readout.sharpness
    assert all(type(value) is int for value in found.size)
    assert all(type(value) is float for value in found.scale)


@pytest.mark.parametrize('beta', [None, 10.0])
def test_a_simcc_heads_readout_has_its_losss_sharpness(beta):
    loss = dict(type='KLDiscretLoss', use_target_weight=True)
    loss.update({} if beta is None else dict(beta=beta))
    head = SimCCHead(
        8, 3, (48, 64), (2, 2), 2.5, deconv_out_channels=None, loss=loss, decoder=SIMCC
    )
    found = readout_of(network(head), 'a mentor')
    assert found == SimCCReadout((0.4, 0.4), (120, 160), 'SimCCLabel', beta or 1.0)
    head.loss_module = nn.Identity()
    assert readout_of(network(head), 'a mentor').sharpness == 1.0


def test_what_is_no_readout_is_refused_in_full():
    told = (
        "mentor 'm' needs a heatmap head (HeatmapHead or a subclass, CPMHead, MSPNHead) or a SimCC "
        'head (SimCCHead, RTMCCHead), bare or in a VisPredictHead, with its decoder set, got '
    )
    grouped = bare(AssociativeEmbeddingHead)  # bottom-up: of all people
    grouped.decoder = heatmap_head(MSRA).decoder
    for head in (heatmap_head(None), nn.Linear(2, 2), None, grouped):
        with pytest.raises(ValueError, match=f'^{re.escape(told)}{type(head).__name__}$'):
            readout_of(network(head), "mentor 'm'")
    combined = dict(MSRA, type='UDPHeatmap', heatmap_type='combined', sigma=0.2)
    words = "mentor 'm' has heatmap_type='combined': its channels are not one heatmap per keypoint"
    with pytest.raises(ValueError, match=f'^{words}$'):
        readout_of(network(heatmap_head(combined)), "mentor 'm'")


def bare(kind):
    """A head without its layers: only what it is and has is asked."""
    head = kind.__new__(kind)
    nn.Module.__init__(head)
    return head


def test_a_head_may_be_in_another_and_may_have_stages():
    inner, outer = heatmap_head(MSRA), bare(VisPredictHead)
    outer.pose_head = inner
    assert keypoint_head(network(outer)) is inner and keypoint_head(network(inner)) is inner
    assert keypoint_head(SimpleNamespace()) is None
    assert has_stages(bare(CPMHead)) and has_stages(bare(MSPNHead)) and not has_stages(inner)


def test_the_last_stages_level_is_the_target():
    assert target_level(SimpleNamespace(level_indices=[0, 1, 3])) == 3
    assert target_level(SimpleNamespace(level_indices=[])) == -1
    assert target_level(SimpleNamespace()) == -1


def test_how_far_a_crop_reaches():
    sizes = dict(input_size=(48, 64), heatmap_size=(12, 16))
    assert crop_extent(MSRAHeatmap(sigma=2.0, **sizes)) == (48, 64)
    assert crop_extent(UDPHeatmap(**sizes)) == (47, 63)
    assert crop_extent(SimCCLabel(input_size=(48, 64))) == (48, 64)
    assert crop_extent(MegviiHeatmap(kernel_size=5, **sizes)) == (48, 64)


def crops(*steps):
    return dict(dataset=dict(pipeline=list(steps)))


AFFINE = dict(type='TopdownAffine', input_size=(48, 64))
AS_UDP = dict(AFFINE, type='mmpose.TopdownAffine', use_udp=True)


@pytest.mark.parametrize('codec', ['UDPHeatmap', 'MSRAHeatmap'])
@pytest.mark.parametrize(
    'config, udp',
    [
        ({}, None),
        (dict(test_dataloader=None, val_dataloader=dict(dataset=dict(type='COCO'))), None),
        (dict(test_dataloader=crops(dict(type='LoadImage'), AFFINE)), False),
        (dict(test_dataloader=crops(AS_UDP, AFFINE), val_dataloader=crops(AFFINE)), True),
        (dict(val_dataloader=crops(AS_UDP), train_dataloader=crops(AFFINE)), True),
        (dict(train_dataloader=crops(AS_UDP)), True),
        (dict(test_dataloader=crops(dict(type='Other')), val_dataloader=crops(AS_UDP)), True),
        (dict(test_dataloader=dict(dataset=dict(dataset=crops(AS_UDP)['dataset']))), True),
    ],
)
def test_whether_a_pipeline_crops_as_udp(config, udp, codec):
    sizes = dict(SIZES) if codec == 'UDPHeatmap' else dict(SIZES, sigma=2.0)
    made = {'UDPHeatmap': UDPHeatmap, 'MSRAHeatmap': MSRAHeatmap}[codec](**sizes)
    want = codec == 'UDPHeatmap' if udp is None else udp
    assert crops_as_udp(config, made) is want
