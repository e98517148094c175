"""What a setting's value must be, as its annotation says."""

import copy
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

import numpy as np
import pytest
from mmengine.registry import DATASETS, HOOKS, MODELS

from classroomkd_mm.datasets import FixedViews
from classroomkd_mm.kinds import Closed, check_kinds, check_settings, refuse_negative

if TYPE_CHECKING:
    from torch import Unknown

NAN = float('nan')


@pytest.mark.parametrize(
    'hint, right, wrong',
    [
        (float, [1, 1.5, -2.0], ['1', True, None, NAN, float('inf'), [1.0]]),
        (int, [1, -1], ['1', True, None, 1.0]),
        (bool, [True, False], [1, 0, 'yes', None]),
        (str, ['', 'a'], [1, None, ['a'], b'a']),
        (Optional[float], [None, 1], ['1', NAN]),
        (Union[int, str, None], [None, 1, 'a'], [1.5, ['a']]),
        (
            Sequence[float],
            [[], [1, 2.0], (3,), np.ones(2)],
            ['12', 1, ['1'], [NAN], np.array([NAN])],
        ),
        (Optional[Sequence[str]], [None, ['a']], ['a', [1]]),
        (Mapping[str, Any], [{}, dict(a=1)], [[], 'a', None]),
        (Any, [None, 1, 'a', NAN], []),
        (Literal['a', 'b'], ['a', 3], []),  # what else an annotation says is not looked at
    ],
)
def test_values_are_compared_with_the_annotation(hint, right, wrong):
    for value in right:
        check_kinds(dict(alpha=value, other=3), dict(alpha=hint), 'part.')
    for value in wrong:
        with pytest.raises(TypeError, match=r'^part\.alpha=.* must be '):
            check_kinds(dict(alpha=value), dict(alpha=hint), 'part.')


def test_what_must_be_is_told():
    with pytest.raises(TypeError, match='must be a list, each a finite number or None$'):
        check_kinds(dict(alpha='1'), dict(alpha=Optional[Sequence[float]]), '')


class Base:
    def __init__(self, weight: float = 1.0) -> None: ...


class Derived(Base):
    def __init__(self, alpha: float, word: 'str' = 'a', **more: 'Unknown') -> None: ...


class Open:
    def __init__(self, alpha: 'Unknown' = 1, **more) -> None: ...


def test_settings_handed_on_are_those_of_the_class_above():
    check_settings(Derived, dict(alpha=1, word='b', weight=2), 'part')
    with pytest.raises(TypeError, match=r"part\.weight='2' must be a finite number"):
        check_settings(Derived, dict(alpha=1, weight='2'), 'part')
    with pytest.raises(
        TypeError, match=r'part\.wieght is no setting of Derived; did you mean weig'
    ):
        check_settings(Derived, dict(alpha=1, wieght=2), 'part')
    with pytest.raises(TypeError, match=r'part=Derived needs alpha: set part\.alpha'):
        check_settings(Derived, {}, 'part')


def test_a_class_that_takes_anything_is_given_anything():
    check_settings(Open, dict(alpha='1', beta=2), 'part')
    check_settings(Base, {}, 'part')
    with pytest.raises(TypeError, match=r"zzz is no setting of Base; it takes \['weight'\]"):
        check_settings(Base, dict(zzz=1), 'part')
    with pytest.raises(TypeError, match='zzz is no setting of object; it takes nothing'):
        check_settings(object, dict(zzz=1), 'part')


def test_numbers_below_zero_are_refused_by_name():
    refuse_negative('part', alpha=0.0, beta=None, sigmas=[0.0, 1.0], taus=np.ones(2), none=[])
    for values in (dict(alpha=-1e-9), dict(sigmas=[0.1, -0.1]), dict(sigmas=-np.ones(2))):
        with pytest.raises(ValueError, match=r'part\.(alpha|sigmas)=.* must not be negative'):
            refuse_negative('part', **values)


@pytest.mark.parametrize(
    'registry, cfg, told',
    [
        (HOOKS, dict(type='MentorEvalHook', min_metrc=0.5), 'min_metrc .* did you mean min_metric'),
        (HOOKS, dict(type='ClassroomHook', interval=5), 'interval .* it takes nothing'),
        (DATASETS, dict(type='FixedViews', dataset=[], view=3), 'view .* did you mean views'),
        (MODELS, dict(type='ClassroomDistiller', student={'type': 'X'}, mentor=3),
         'model.mentor is no setting of ClassroomDistiller; did you mean mentors'),
    ],
)  # fmt: skip
def test_what_configs_name_is_closed(registry, cfg, told):
    """Also where MMEngine's own registries build it, as in a run."""
    with pytest.raises(TypeError, match=told):
        registry.build(dict(cfg, type=f'classroomkd_mm.{cfg["type"]}'))


class Each(Closed):
    def __init__(self, needed: int) -> None:
        self.needed = needed


def test_what_is_closed_can_be_copied_and_pickled():
    assert copy.deepcopy(Each(needed=3)).needed == Each(3).needed == 3
    views = FixedViews(dataset=[1, 2], views=2)
    assert pickle.loads(pickle.dumps(views)).views == 2
