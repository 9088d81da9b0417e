"""The mathematics chapter, as code: small functions in NumPy, each held equal to PyTorch by a test.

:mod:`~companion.mathematics.gradient_descent` moves a weight,
:mod:`~companion.mathematics.activations` and :mod:`~companion.mathematics.losses` are the pieces of
a network, :mod:`~companion.mathematics.backpropagation` puts them together, and
:mod:`~companion.mathematics.lstm` and :mod:`~companion.mathematics.attention` read sequences. They
are for reading and checking; the pipeline of :mod:`companion.classifier` uses PyTorch.
"""
