"""What the applications chapter runs: fifteen scenarios, each with a baseline and a measure.

Data sets and models that installed packages carry are found by :mod:`companion.packages`. Metrics
come from scikit-learn and torchmetrics. Each module belongs to one section of the chapter.
"""
