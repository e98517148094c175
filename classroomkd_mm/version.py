"""The version, read by setup.py as text."""

__version__ = '0.2.0.dev0'
