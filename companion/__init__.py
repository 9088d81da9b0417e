"""Companion package of the book *Large Models at Work: a tutorial in which every claim runs*.

The names that most users need stand here; :doc:`/reference/api` lists the rest. Importing
``companion`` is quick: torch, pandas and the plots load when you first use a name that needs them.

>>> from companion import NewsClassifier, load_corpus
>>> NewsClassifier(hidden_size=32)
NewsClassifier(hidden_size=32)
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.classifier.checkpoint import load_classifier, save_classifier
    from companion.classifier.configuration import CONFIGURATIONS, Configuration
    from companion.classifier.corpus import load_corpus, read_table, split_corpus
    from companion.classifier.estimator import NewsClassifier
    from companion.classifier.evaluation import baselines, evaluate
    from companion.classifier.inference import TextClassifier
    from companion.classifier.training import train
    from companion.clinic.checker import check
    from companion.errors import CompanionError

__all__ = [
    "CONFIGURATIONS",
    "CompanionError",
    "Configuration",
    "NewsClassifier",
    "TextClassifier",
    "__version__",
    "baselines",
    "check",
    "evaluate",
    "load_classifier",
    "load_corpus",
    "read_table",
    "save_classifier",
    "split_corpus",
    "train",
]

try:
    __version__ = version("large-models-at-work")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+checkout"

_HOMES = {
    "CONFIGURATIONS": "companion.classifier.configuration",
    "CompanionError": "companion.errors",
    "Configuration": "companion.classifier.configuration",
    "NewsClassifier": "companion.classifier.estimator",
    "TextClassifier": "companion.classifier.inference",
    "baselines": "companion.classifier.evaluation",
    "check": "companion.clinic.checker",
    "evaluate": "companion.classifier.evaluation",
    "load_classifier": "companion.classifier.checkpoint",
    "load_corpus": "companion.classifier.corpus",
    "read_table": "companion.classifier.corpus",
    "save_classifier": "companion.classifier.checkpoint",
    "split_corpus": "companion.classifier.corpus",
    "train": "companion.classifier.training",
}


def __getattr__(name: str) -> Any:
    """Import the module of a name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
