"""Doctor: what is installed, what is missing, can it train?"""

import argparse
import logging
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Callable, Optional

from .compat import EVALUATION, PROVIDED, installed, unavailable_heads

PACKAGES = {
    'torch': ('torch',),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite'),
    'mmpose': ('mmpose',),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
    'mmdet': ('mmdet',),
    'albumentations': ('albumentations',),
    'numpy': ('numpy',),
    'opencv': ('opencv-python-headless', 'opencv-python'),
    'xtcocotools': ('xtcocotools',),
    'faster_coco_eval': ('faster-coco-eval',),
}
SIDE = 32  # of the tiny pictures, pixels
KEYPOINTS = 17

# A student's config, and two samples as its library's pipeline packs them.
Example = tuple[dict[str, object], list[object]]


def version_of(distributions: tuple[str, ...]) -> str:
    """The first installed distribution's name and version, or 'not installed'."""
    for name in distributions:
        try:
            return f'{metadata.version(name)} ({name})'
        except metadata.PackageNotFoundError:
            continue
    return 'not installed'


def train_one_step(task: str) -> Optional[str]:
    """Let a tiny mentor teach a tiny student; the error's text if that fails.

    Args:
        task: One of ``TASKS``, whose library is installed.
    """
    library, example = TASKS[task]
    try:
        _train(library, *example())
    except Exception as error:  # whatever is broken here is what the user came to read
        return f'{type(error).__name__}: {error}'
    return None


def _train(library: str, student: dict[str, object], samples: list[object]) -> None:
    """One optimizer step of a classroom whose mentor is a second student."""
    import torch
    from mmengine.logging import MMLogger
    from mmengine.optim import OptimWrapper
    from mmengine.registry import MODELS, DefaultScope

    MMLogger.get_current_instance().setLevel(logging.WARNING)  # the report is short
    with DefaultScope.overwrite_default_scope(library):
        model = MODELS.build(
            dict(
                type='classroomkd_mm.ClassroomDistiller',
                student=student,
                mentors=[dict(name='mentor', config=student, checkpoint=None)],
            )
        )
        optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        pictures = [torch.randint(256, (3, SIDE, SIDE), dtype=torch.uint8) for _ in samples]
        model.train().train_step(dict(inputs=pictures, data_samples=samples), optimizer)


def _classification() -> Example:
    from mmpretrain.structures import DataSample

    student: dict[str, object] = dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, num_classes=2),
        backbone=dict(type='MobileNetV2', widen_factor=0.25),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=1280),
    )
    return student, [DataSample().set_gt_label(label) for label in (0, 1)]


def _pose() -> Example:
    # The backbone's last map is 1 pixel wide, one deconvolution makes it 2.
    codec = dict(type='MSRAHeatmap', input_size=(SIDE, SIDE), heatmap_size=(2, 2), sigma=1)
    student: dict[str, object] = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3),
        backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)),
        head=dict(
            type='HeatmapHead',
            in_channels=1280,
            out_channels=KEYPOINTS,
            deconv_out_channels=(8,),
            deconv_kernel_sizes=(4,),
            decoder=codec,
        ),
    )
    return student, [_person(), _person()]


def _person() -> object:
    """A person as large as its crop, all keypoints in the middle."""
    import numpy as np
    import torch
    from mmengine.structures import InstanceData, PixelData
    from mmpose.structures import PoseDataSample

    side = np.array([SIDE, SIDE], dtype=np.float32)
    sample = PoseDataSample(
        metainfo=dict(
            dataset_name='coco',
            raw_ann_info=dict(area=SIDE**2 / 2),
            input_size=(SIDE, SIDE),
            input_center=side / 2,
            input_scale=side,
        )
    )
    sample.gt_instances = InstanceData(
        bboxes=np.array([[0, 0, SIDE, SIDE]], dtype=np.float32),
        bbox_scales=side[None],
        transformed_keypoints=np.full((1, KEYPOINTS, 2), SIDE / 2, dtype=np.float32),
        keypoints_visible=np.ones((1, KEYPOINTS), dtype=np.float32),
    )
    sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, KEYPOINTS))
    sample.gt_fields = PixelData(heatmaps=torch.ones(KEYPOINTS, 2, 2))
    return sample


# What can be trained: with which library, and what to try it with.
TASKS: dict[str, tuple[str, Callable[[], Example]]] = {
    'pose': ('mmpose', _pose),
    'classification': ('mmpretrain', _classification),
}


def verdicts() -> tuple[list[str], bool]:
    """One line per task, and whether at least one of them can train.

    A library that is not installed is no failure: nobody needs both.
    """
    lines, trains = [], False
    for task, (library, _) in TASKS.items():
        if not installed(library):
            lines.append(f"{task}: {library} is not installed (pip install -e '.[{library}]')")
            continue
        failure = train_one_step(task)
        lines.append(f'{task}: {"yes" if failure is None else f"NO: {failure}"}')
        trains = trains or failure is None
    if not any(installed(library) for library, _ in TASKS.values()):
        lines.append('NO: it takes mmpose, mmpretrain or both')
    return lines, trains


def print_environment() -> None:
    """Print the versions, the device and what of MMPose is unavailable."""
    print(f'python       {platform.python_version()}')
    for name, distributions in PACKAGES.items():
        print(f'{name:12} {version_of(distributions)}')
    print(f'mmcv ops     {"compiled" if installed("mmcv._ext") else "not compiled"}')
    if installed('torch'):
        import torch

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU only'
        print(f'device       {device}')
    if installed('mmpose'):
        for head, reason in unavailable_heads().items():
            print(f'unavailable  {head}: {reason}')
    if PROVIDED:
        print(f'provided     {", ".join(PROVIDED)} (in place of mmdet)')
    if EVALUATION:
        print(f'evaluation   xtcocotools is {EVALUATION}')


def make_parser() -> argparse.ArgumentParser:
    """The command line, without arguments."""
    return argparse.ArgumentParser(
        prog='python -m classroomkd_mm doctor',
        description='What is installed, what is missing, and can it train?',
        epilog='Exit status: 0 where pose or classification can train, else 1.',
    )


def main(argv: Sequence[str] = ()) -> int:
    """Print the report; 0 if the set-up can train a task at least, else 1."""
    make_parser().parse_args(argv)
    print_environment()
    lines, trains = verdicts()
    for line in lines:
        print(f'can train    {line}')
    return int(not trains)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
