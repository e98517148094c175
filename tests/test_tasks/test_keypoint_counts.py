"""A mentor's names must be as many as its keypoints: one that is missing would shift the others."""

import pytest
from mmengine.registry import MODELS

from classroomkd_mm.tasks.pose.keypoints import Keypoints, names_of, published_metainfo

AIC = names_of(published_metainfo('aic'))


@pytest.fixture
def refused(demo_config):
    """``refused(match, entry)``: a classroom with a mentor of AIC's 14 keypoints is refused."""

    def build(match, config=None, **settings):
        cfg = demo_config('classroom').model
        network = demo_config('mentor_small').model
        network.head.out_channels = 14
        whole = dict(config or {}, model=network)
        cfg.mentors = [dict(name='cpm', config=whole, checkpoint=None, **settings)]
        with pytest.raises(ValueError, match=match):
            MODELS.build(cfg)

    return build


@pytest.mark.parametrize('names', [AIC[1:], [*AIC, 'nose'], AIC[:5]])
def test_a_name_too_few_or_too_many(refused, names):
    refused(
        f"^mentor 'cpm': keypoints names {len(names)} keypoints, and its head has 14: name all",
        keypoints=names,
    )


def test_a_config_that_names_another_data_set_than_its_network_has(refused):
    """Copied from a COCO config, the data set stays COCO's; also where some are renamed."""
    coco = dict(train_dataloader=dict(dataset=dict(type='CocoDataset')))
    message = "^mentor 'cpm': its config's data set coco names 17 keypoints, and its head has 14"
    refused(message, coco)
    refused(message, coco, keypoints={'left_ear': 'nose'})
    refused(message, coco, keypoints={'head_top': 'nose'})  # a name that it has, and coco has not


def test_as_many_names_as_keypoints_fit(demo_config):
    cfg = demo_config('classroom').model
    network = demo_config('mentor_small').model
    network.head.out_channels = 14
    cfg.mentors = [dict(name='cpm', config=dict(model=network), checkpoint=None, keypoints=AIC)]
    model = MODELS.build(cfg)
    model.task.metainfo = published_metainfo('coco')
    ((_, bridge),) = model.members
    joined = bridge.joined(published_metainfo('coco'))
    assert joined.known.sum() == 12 and joined.index[5] == AIC.index('left_shoulder')
    Keypoints().check_count(99, 'm')
    Keypoints(pairs=((0, 0),)).check_count(99, 'm')
