"""The eight steps of training, small enough to read, each explained in :doc:`/training/index`.

The modules stand in the order of the steps. The training of the text classifier itself is
:mod:`companion.classifier.training`.
"""
