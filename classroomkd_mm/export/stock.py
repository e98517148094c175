"""Load a student with the stock libraries alone: a script for a process of its own.

usage: python stock.py CONFIG WEIGHTS INPUTS.npy OUTPUTS.npz

Whatever imports the package that trained it is refused.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Optional

REFUSED = 'classroomkd_mm'
# Heads that MMPose imports unguarded, and what each needs.
UNGUARDED = {
    'hybrid_heads.rtmo_head': ('RTMOHead', 'mmdet.utils'),
    'transformer_heads': ('EDPoseHead', 'mmcv.ops'),
}


class Refuse:
    """A finder of modules that refuses one package."""

    @staticmethod
    def find_spec(
        name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """None, so that others are asked.

        Raises:
            ImportError: For the package that is refused.
        """
        if name.split('.')[0] == REFUSED:
            raise ImportError(f'{name} is refused here: a stock student needs none of it')
        return None


def let_mmpose_import() -> None:
    """Put empty modules where MMPose's own import fails without mmdet or mmcv's operators.

    HACK: its models import two heads that nothing else of it needs; where their needs are missing
    no config of MMPose's can be built, stock or not.
    """
    for path, (head, need) in UNGUARDED.items():
        try:
            import_module(need)
        except Exception:  # third-party code: whatever it raises, MMPose would die of it
            module = ModuleType(f'mmpose.models.heads.{path}')
            setattr(module, head, type(head, (), {}))
            sys.modules[module.__name__] = module


def main(config: str, weights: str, inputs: str, outputs: str) -> None:
    """Build, load every weight, run, and write what comes out."""
    import numpy as np
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    cfg = Config.fromfile(config, import_custom_modules=False)
    library = cfg.get('default_scope') or 'mmpose'
    if library == 'mmpose':
        let_mmpose_import()
    init_default_scope(library)
    if cfg.get('data_preprocessor'):
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    network = MODELS.build(cfg.model).eval()
    network.load_state_dict(torch.load(weights, weights_only=True)['state_dict'], strict=True)
    with torch.no_grad():
        output = network(torch.from_numpy(np.load(inputs)), None, mode='tensor')
    output = output[-1] if isinstance(output, list) else output
    parts = output if isinstance(output, tuple) else (output,)
    np.savez(outputs, *[part.numpy() for part in parts])


if __name__ == '__main__':
    sys.meta_path.insert(0, Refuse)  # type: ignore[arg-type]  # a finder by its method
    main(*sys.argv[1:])
