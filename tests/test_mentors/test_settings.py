"""What a config says of a mentor."""

import pytest

from classroomkd_mm.mentors import MentorSettings

NAME = 'td-hm_res50_8xb64-210e_coco-256x192'


def test_a_zoo_name_is_config_and_weights_and_a_checkpoint_may_stand_in():
    published = MentorSettings.of(dict(zoo=NAME), 0)
    assert published.name == NAME and published.config.startswith('mmpose::')
    assert published.checkpoint.startswith('https://')
    assert MentorSettings.of(dict(zoo=NAME, checkpoint=None), 0).checkpoint is None
    assert MentorSettings.of(dict(zoo=NAME, checkpoint='a.pth'), 0).checkpoint == 'a.pth'


def test_defaults_and_own_settings():
    read = MentorSettings.of(dict(config={}, checkpoint=None, far=3), 2, frozenset({'far', 'near'}))
    assert (read.name, read.own, read.trusted) == ('mentor2', dict(far=3), False)


@pytest.mark.parametrize(
    'cfg, message',
    [
        (dict(zoo=NAME, config='c.py', checkpoint='c.pth'), "zoo='td-hm.* they exclude each other"),
        (dict(zoo=NAME, config='c.py'), 'they exclude each other'),
        (dict(config='c.py'), 'takes name and either zoo, or config and checkpoint'),
        (dict(), 'takes name and either zoo, or config and checkpoint'),
        (dict(config='c.py', checkpiont='c.pth'), 'checkpiont: did you mean checkpoint'),
        (dict(zoo=NAME, letterboxed=True), 'letterboxed: did you mean letterbox'),
        (dict(zoo=NAME, classes=[1]), "'td-hm.*: classes is for classifiers, and this is a mentor"),
        (dict(zoo=NAME, name=3), r'mentors\[1\].name=3 must be a string'),
    ],
)
def test_what_is_wrong_is_named(cfg, message):
    with pytest.raises(ValueError, match=message):
        MentorSettings.of(cfg, 1, frozenset({'letterbox'}), dict(classes='classifiers'))
    with pytest.raises(TypeError, match=r'mentors\[1\] must be a dict, got str'):
        MentorSettings.of(NAME, 1)


def test_loss_is_a_name_like_any_other():
    assert MentorSettings.of(dict(name='lossy', config={}, checkpoint=None), 0).name == 'lossy'
