"""What lets MMPose 1.3 import without mmdet and mmcv's compiled ops; nothing else.

``mmpose.models`` imports two modules unguarded that have nothing to do with distillation: RTMO's
head (needs mmdet) and EDPose's (needs ``mmcv.ops``). Where a dependency is missing, its module is
replaced by a placeholder whose head says what to install. Where it is present nothing is touched.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Optional

# module of mmpose.models.heads: (the head in it, what it imports, how to get it)
GUARDED: dict[str, tuple[str, str, str]] = {
    'hybrid_heads.rtmo_head': ('RTMOHead', 'mmdet.utils', 'pip install mmdet'),
    'transformer_heads': ('EDPoseHead', 'mmcv.ops', 'install mmcv with its compiled ops'),
}


def installed(module: str) -> bool:
    """Whether a module can be found, without importing more than its parent."""
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # ValueError: a stub module without a spec
        return False


def why_missing(module: str) -> Optional[str]:
    """Why a module cannot be imported; None where it can.

    It is imported, not only looked for: an mmdet built for another mmcv is found and still fails.
    """
    try:
        import_module(module)
    except Exception as error:  # third-party code: whatever it raises, MMPose would die of it
        return f'{type(error).__name__}: {error}'
    return None


def unavailable_heads() -> dict[str, str]:
    """MMPose heads that this environment cannot build, each with the reason and the remedy."""
    reasons = {head: (why_missing(need), need, cure) for head, need, cure in GUARDED.values()}
    return {
        head: f'needs {need}: {cure} ({why})' for head, (why, need, cure) in reasons.items() if why
    }


def _refusing_head(name: str, reason: str) -> type:
    def refuse(self: object, *args: object, **kwargs: object) -> None:
        raise ImportError(f'{name} is unavailable here, it {reason}')

    return type(name, (), {'__init__': refuse, '__doc__': f'Unavailable: {reason}.'})


def enable_mmpose() -> None:
    """Put placeholders where ``import mmpose.models`` would fail; does nothing elsewhere."""
    if not installed('mmpose') or 'mmpose.models' in sys.modules:
        return
    if why_missing('mmpose.registry'):  # classification goes on without it; the doctor says why
        return
    missing = unavailable_heads()
    if not missing:
        return
    from mmpose.registry import MODELS

    for path, (name, _, _) in GUARDED.items():
        if name in missing:
            head = _refusing_head(name, missing[name])
            module = ModuleType(f'mmpose.models.heads.{path}', f'Placeholder: {missing[name]}.')
            setattr(module, name, head)
            sys.modules[module.__name__] = module
            MODELS.register_module(name=name, module=head, force=True)


enable_mmpose()
