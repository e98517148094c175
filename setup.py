"""For tools that ask for one; what the package is stands in pyproject.toml."""

from setuptools import setup

setup()
