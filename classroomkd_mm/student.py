"""The config of a classroom's student alone, for evaluation and deployment."""

import copy
from typing import Any

from mmengine.config import Config

HOOKS = ('ClassroomHook', 'MentorEvalHook')


def type_name(cfg: Any) -> str:
    """The class name in a ``dict(type=...)``: without its scope, also where it is a class."""
    kind = cfg.get('type') or ''
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def student_config(cfg: Config) -> Config:
    """A run's config with the student in place of the classroom, without the classroom's hooks.

    Any checkpoint of the run fits it, and it needs this package only where the student itself is
    one of its networks. It has no file name and no work dir, lest it write over the classroom's.
    """
    plain = copy.deepcopy(cfg)
    if type_name(plain.model) == 'ClassroomDistiller':
        classroom = plain.model
        plain.model = classroom.student
        if classroom.get('data_preprocessor') is not None:
            plain.model.setdefault('data_preprocessor', classroom.data_preprocessor)
    hooks = [hook for hook in plain.get('custom_hooks') or [] if type_name(hook) not in HOOKS]
    plain.update(custom_hooks=hooks, load_from=None, resume=False)
    plain.pop('work_dir', None)
    if 'classroomkd_mm.' not in str(plain.model):
        custom = plain.get('custom_imports') or {}
        imports = [name for name in custom.get('imports', []) if name != 'classroomkd_mm']
        plain.custom_imports = {**custom, 'imports': imports} if imports else None
    return Config(plain.to_dict())
