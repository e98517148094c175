"""The headless build has the same cv2 and needs no libGL, which a bare Debian lacks."""
from setuptools import setup

setup(name='opencv-python', version='4.11.0.86', packages=[], py_modules=[],
      install_requires=['opencv-python-headless==4.11.0.86'])
