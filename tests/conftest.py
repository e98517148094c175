"""Shared by all tests: one thread, no network, MMPose's scope."""
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest
import torch

import classroomkd_mm  # noqa: F401
from mmengine.registry import DefaultScope

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def mmpose_scope():
    """Run each test in MMPose's default scope, as a run with an MMPose config is."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield
