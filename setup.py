"""Packaging of classroomkd_mm."""
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search("__version__ = '(.+)'", (HERE / 'classroomkd_mm/version.py').read_text())

setup(
    name='classroomkd_mm',
    version=VERSION.group(1),
    description='Multi-mentor knowledge distillation (ClassroomKD) for MMPose and MMPretrain',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['classroomkd_mm', 'classroomkd_mm.*']),
    python_requires='>=3.9',
    install_requires=['torch>=2.1', 'numpy', 'scipy', 'model-index', 'filelock'],
    # Extras, because pip must never overwrite an OpenMMLab that is already there: mmengine and
    # mmcv each exist under two distribution names with the same module.
    extras_require={
        'mmpose': ['mmengine>=0.10.3', 'mmcv>=2.0.1', 'mmpose>=1.3,<2'],
        'mmpretrain': ['mmengine>=0.10.3', 'mmcv>=2.0.1', 'mmpretrain>=1.2,<2'],
        'benchmark': ['PyYAML', 'rich', 'statsmodels', 'submitit'],
    })
