"""Published networks by name."""

import pytest
from mmengine.hub import get_config

import classroomkd_mm.mentors.settings as settings_module
import classroomkd_mm.mentors.zoo as zoo_module
from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.mentors.zoo import look_up, zoo

HRNET = 'td-hm_hrnet-w48_8xb32-210e_coco-256x192'


def test_both_libraries_networks_are_there_with_what_is_published():
    hrnet, resnet = look_up(HRNET, 'm'), look_up('resnet34_8xb32_in1k', 'm')
    assert hrnet.config.startswith('mmpose::') and hrnet.weights.endswith('-0e67c616_20220913.pth')
    assert hrnet.dataset == 'COCO' and hrnet.metrics['AP'] == 0.756
    assert get_config(hrnet.config).model.head.out_channels == 17
    assert resnet.config == 'mmpretrain::resnet/resnet34_8xb32_in1k.py'
    assert resnet.metrics['Top 1 Accuracy'] == 73.62
    assert len(zoo()) > 800


def test_names_without_weights_and_names_that_are_there_twice_are_refused():
    with pytest.raises(ValueError, match="zoo='hivit-tiny-p16_16xb64_in1k' has no published weig"):
        MentorSettings.of(dict(zoo='hivit-tiny-p16_16xb64_in1k'), 0)
    with pytest.raises(ValueError, match='is in the model index more than once .mmpose::.*crowdp'):
        look_up('rtmpose-t_8xb256-420e_coco-256x192', 'm')


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        ValueError, match=f"mentor 'm': zoo='td-hm_hrnet-w48'.*did you mean.*{HRNET}"
    ):
        look_up('td-hm_hrnet-w48', "mentor 'm'")
    with pytest.raises(ValueError, match='see classroomkd_mm mentors search'):
        look_up('qqqqqqqq', 'm')


def test_a_mentor_by_name_takes_config_and_weights_from_the_index(monkeypatch):
    loaded = []
    monkeypatch.setattr(settings_module, 'load_weights', lambda net, url, *_: loaded.append(url))
    name = 'td-hm_mobilenetv2_8xb64-210e_coco-256x192'
    settings = MentorSettings.of(dict(zoo=name), 0)
    network, _ = settings.build()
    assert settings.name == name and loaded == [zoo()[name][0].weights]
    assert type(network.backbone).__name__ == 'MobileNetV2'
    MentorSettings.of(dict(name='m', zoo=name, checkpoint=None), 0).build()
    assert len(loaded) == 1
    with pytest.raises(ValueError, match='exclude each other'):
        MentorSettings.of(dict(zoo=name, config={}), 0)


def test_a_library_that_is_not_installed_has_no_networks(tmp_path, monkeypatch):
    (tmp_path / 'a_folder').mkdir()  # which Python takes for a package without a place
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(zoo_module, 'LIBRARIES', ('not_there', 'a_folder', 'mmpretrain'))
    found = zoo.__wrapped__()
    assert found and all(
        model.config.startswith('mmpretrain::') for models in found.values() for model in models
    )
