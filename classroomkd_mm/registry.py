"""Child registries of MMEngine's, scope ``classroomkd_mm``."""

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='classroomkd_mm', locations=['classroomkd_mm']
)
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='classroomkd_mm', locations=['classroomkd_mm.hooks']
)
# Tasks are chosen, not named: the last one registered whose `fits` says yes to the student.
TASKS = Registry('task', scope='classroomkd_mm', locations=['classroomkd_mm.tasks'])
