"""MMPose declares chumpy and never imports it, and the real one's setup.py needs pip itself."""
from setuptools import setup

setup(name='chumpy', version='0.70', packages=[], py_modules=[])
