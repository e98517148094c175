"""``python -m classroomkd_mm.doctor``: what is installed, what is missing, can it train?"""

import platform
import sys
from importlib import metadata
from typing import Optional

from .compat import installed, unavailable_heads

PACKAGES = {
    'torch': ('torch',),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite'),
    'mmpose': ('mmpose',),
    'mmpretrain': ('mmpretrain',),
    'mmdet': ('mmdet',),
    'numpy': ('numpy',),
    'opencv': ('opencv-python-headless', 'opencv-python'),
    'xtcocotools': ('xtcocotools',),
}


def version_of(distributions: tuple) -> str:
    """The first installed distribution's name and version, or 'not installed'."""
    for name in distributions:
        try:
            return f'{metadata.version(name)} ({name})'
        except metadata.PackageNotFoundError:
            continue
    return 'not installed'


def train_one_step() -> Optional[str]:
    """Run one forward and backward of a tiny pose model; the error's text if it fails."""
    try:
        import torch
        from mmengine.registry import DefaultScope
        from mmpose.registry import MODELS

        codec = dict(type='MSRAHeatmap', input_size=(32, 32), heatmap_size=(8, 8), sigma=1)
        with DefaultScope.overwrite_default_scope('mmpose'):
            model = MODELS.build(
                dict(
                    type='TopdownPoseEstimator',
                    backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)),
                    head=dict(
                        type='HeatmapHead',
                        in_channels=1280,
                        out_channels=3,
                        deconv_out_channels=(8,),
                        deconv_kernel_sizes=(4,),
                        decoder=codec,
                    ),
                )
            )
            model(torch.zeros(2, 3, 32, 32), None, mode='tensor').sum().backward()
    except Exception as error:  # whatever is broken here is what the user came to read
        return f'{type(error).__name__}: {error}'
    return None


def main() -> int:
    """Print the report; 0 if the set-up can train, else 1."""
    print(f'python       {platform.python_version()}')
    for name, distributions in PACKAGES.items():
        print(f'{name:12} {version_of(distributions)}')
    print(f'mmcv ops     {"compiled" if installed("mmcv._ext") else "not compiled"}')
    if installed('torch'):
        import torch

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU only'
        print(f'device       {device}')
    for head, reason in unavailable_heads().items():
        print(f'unavailable  {head}: {reason}')
    failure = train_one_step()
    print('can train    yes' if failure is None else f'can train    NO: {failure}')
    return int(failure is not None)


if __name__ == '__main__':
    sys.exit(main())
