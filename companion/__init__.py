"""Companion package of the book *Large Models at Work: a tutorial in which every claim runs*.

The text-classification pipeline is :mod:`companion.classifier`. Importing ``companion`` is quick:
torch, pandas and the plots load when you import the module that uses them.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("large-models-at-work")
