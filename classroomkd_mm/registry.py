"""Child registries of MMEngine's, scope ``classroomkd_mm``."""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='classroomkd_mm', locations=['classroomkd_mm']
)
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='classroomkd_mm', locations=['classroomkd_mm.hooks']
)
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='classroomkd_mm',
    locations=['classroomkd_mm.datasets'],
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='classroomkd_mm',
    locations=['classroomkd_mm.datasets'],
)
OPTIM_WRAPPERS = Registry(
    'optim wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='classroomkd_mm',
    locations=['classroomkd_mm.runs'],
)
# Tasks are chosen, not named: the last one registered whose `fits` says yes to the student.
TASKS = Registry('task', scope='classroomkd_mm', locations=['classroomkd_mm.tasks'])
