"""What lets MMPose 1.3 import, and its configs build, without mmdet and mmcv's compiled ops.

``mmpose.models`` imports two modules unguarded that have nothing to do with distillation: RTMO's
head (needs mmdet) and EDPose's (needs ``mmcv.ops``). Where a dependency is missing, its module is
replaced by a placeholder whose head says what to install. MMPose's configs (RTMPose's, RTMW's) name
three things of mmdet's: where it is missing, ``standins`` has them. xtcocotools' wheel is built for
numpy 1: where it does not import, ``coco_eval`` has what MMPose takes from it. Where a dependency
is present it is not touched; ``mends`` is for a fault of MMPose's own.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, Optional

# module of mmpose.models.heads: (the head in it, what it imports, how to get it)
GUARDED: dict[str, tuple[str, str, str]] = {
    'hybrid_heads.rtmo_head': ('RTMOHead', 'mmdet.utils', 'pip install mmdet'),
    'transformer_heads': ('EDPoseHead', 'mmcv.ops', 'install mmcv with its compiled ops'),
}
# What MMPose's configs name of mmdet's: root registry: (name there, name in standins).
STANDINS: dict[str, tuple[str, str]] = {
    'HOOKS': ('PipelineSwitchHook', 'PipelineSwitchHook'),
    'TRANSFORMS': ('YOLOXHSVRandomAug', 'YOLOXHSVRandomAug'),
    'MODELS': ('CSPNeXt', 'cspnext'),
}
MENDS = 'classroomkd_mm.mends'
COCO_TOOLS = 'xtcocotools'
# What MMPretrain's multimodal models take from transformers.modeling_utils: gone in its version 5.
MULTIMODAL = (
    'apply_chunking_to_forward',
    'find_pruneable_heads_and_indices',
    'prune_linear_layer',
)
# Its modules: what stands in for them.
EVALUATORS = {
    'coco': 'classroomkd_mm.coco_eval',
    'cocoeval': 'classroomkd_mm.coco_eval',
    # Not pycocotools: beside transformers 5 it makes MMPretrain import what dies of that.
    'mask': 'faster_coco_eval.core.mask',
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


def _replace_heads() -> None:
    """Put placeholders where ``import mmpose.models`` would fail; does nothing elsewhere."""
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


def _stand_in_for_mmdet() -> tuple[str, ...]:
    """Register what MMPose's configs take from mmdet, where it does not import.

    Returns:
        What is provided, as configs name it.
    """
    if why_missing('mmdet') is None or 'mmdet.registry' in sys.modules:
        return ()
    from mmengine import registry

    from . import standins

    # MMEngine imports SCOPE.registry for each name of a scope: without one it warns each time, and
    # one that dies of another version's mmcv would end the run.
    module = ModuleType('mmdet.registry', f'Placeholder: {__name__} stands in for mmdet.')
    for kind, (name, ours) in STANDINS.items():
        root = getattr(registry, kind)
        # Of a scope of OpenMMLab's without locations MMEngine would look for SCOPE.utils.
        child = registry.Registry(
            root.name, parent=root, scope='mmdet', locations=[standins.__name__]
        )
        child.register_module(name=name, module=getattr(standins, ours))
        setattr(module, kind, child)
    sys.modules[module.__name__] = module
    return tuple(f'mmdet.{name}' for name, _ in STANDINS.values())


class _NoCocoTools(MetaPathFinder):
    """Ends an import of xtcocotools with one sentence, in place of a compiled module's."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def find_spec(
        self, name: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> None:
        """Look for a module, as Python does.

        Raises:
            ModuleNotFoundError: For one of xtcocotools'.
        """
        if name.partition('.')[0] == COCO_TOOLS:
            raise ModuleNotFoundError(f'{COCO_TOOLS} is {self.reason}', name=name)


def _stand_in_for_xtcocotools() -> str:
    """Put faster-coco-eval in the place of an xtcocotools that does not import.

    Returns:
        What is so, for the doctor; nothing where xtcocotools is used.
    """
    why = why_missing(f'{COCO_TOOLS}.mask')  # compiled: the package around it imports anyhow
    if why is None:
        return ''
    if any(why_missing(each) for each in EVALUATORS.values()):
        said = f'unavailable: pip install "faster-coco-eval>=1.8", which takes its place ({why})'
        sys.meta_path.insert(0, _NoCocoTools(said))
        return said
    package = module_from_spec(ModuleSpec(COCO_TOOLS, None, is_package=True))
    sys.modules[COCO_TOOLS] = package
    for name, ours in EVALUATORS.items():
        module = sys.modules[f'{COCO_TOOLS}.{name}'] = import_module(ours)
        setattr(package, name, module)
    return f'provided on faster-coco-eval ({why})'


def _mend_with_data_sets() -> None:
    """Let MMPose's data sets bring what mends them, when they are imported."""
    from mmpose.registry import DATASETS

    if 'mmpose.datasets' in sys.modules:
        import_module(MENDS)
    elif MENDS not in DATASETS._locations:
        # HACK: a registry imports its locations, in order, when it is first asked. To import the
        # data sets here would cost a second where there are none of MMPose's.
        DATASETS._locations.append(MENDS)


def enable_mmpose() -> tuple[str, ...]:
    """Make MMPose import and its configs build; does nothing where they do.

    Returns:
        What is provided in mmdet's place, as configs name it.
    """
    if not installed('mmpose') or why_missing('mmpose.registry'):
        return ()  # classification goes on without it; the doctor says why
    # MMPose imports albumentations, which would ask the package index for news each time.
    os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
    if 'mmpose.models' not in sys.modules:
        _replace_heads()
    _mend_with_data_sets()
    return _stand_in_for_mmdet()


def enable_mmpretrain() -> None:
    """Switch MMPretrain's multimodal models off where transformers is too new for them.

    Beside pycocotools, which mmdet brings, they are on, and importing any of its models ends by
    them. Off they are as without pycocotools: each says what it needs.
    """
    asked = ('mmpretrain', 'pycocotools', 'transformers')
    if not all(map(installed, asked)) or 'mmpretrain.models' in sys.modules:
        return
    if why_missing('mmpretrain.utils.dependency'):
        return  # pose goes on without it; the doctor says why
    dependency: Any = import_module('mmpretrain.utils.dependency')
    if dependency.WITH_MULTIMODAL:
        transformers = import_module('transformers.modeling_utils')
        dependency.WITH_MULTIMODAL = all(hasattr(transformers, name) for name in MULTIMODAL)


EVALUATION = _stand_in_for_xtcocotools() if installed('mmpose') else ''
PROVIDED = enable_mmpose()
enable_mmpretrain()
