"""The book's figures. Each function draws on the ``ax`` given, or on a new one, and returns it.

Here stand the style and the figures of the project chapter. Each other chapter has a module of its
own, named as the chapter is.
"""

from companion.plots.classifier import (
    class_counts,
    confusion_heatmap,
    document_lengths,
    failure_ladder,
    learning_curves,
    memory_curves,
    padding_amnesia,
    reliability_diagram,
    speedup_curves,
    token_boxes,
)
from companion.plots.style import use_style

__all__ = [
    "class_counts",
    "confusion_heatmap",
    "document_lengths",
    "failure_ladder",
    "learning_curves",
    "memory_curves",
    "padding_amnesia",
    "reliability_diagram",
    "speedup_curves",
    "token_boxes",
    "use_style",
]
