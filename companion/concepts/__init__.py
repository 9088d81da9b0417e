"""What the chapter on large models computes.

Sizes are counted (:mod:`~companion.concepts.sizes`), small language models are trained
(:mod:`~companion.concepts.ngram`, :mod:`~companion.concepts.transformer`,
:mod:`~companion.concepts.language`), what scale, transfer and shift do is measured
(:mod:`~companion.concepts.scale`), and a choice between ways to build is put into numbers
(:mod:`~companion.concepts.economics`, :mod:`~companion.concepts.decision`).
"""
