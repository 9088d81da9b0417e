"""The LSTM text-classification pipeline, in the order in which the data flows.

:mod:`~companion.classifier.tables` → :mod:`~companion.classifier.corpus` →
:mod:`~companion.classifier.text` →
:mod:`~companion.classifier.batches` → :mod:`~companion.classifier.model` →
:mod:`~companion.classifier.state` →
:mod:`~companion.classifier.training` → :mod:`~companion.classifier.inference` →
:mod:`~companion.classifier.evaluation` → :mod:`~companion.classifier.checkpoint`. A later module
imports an earlier one, never back.

Other ways in and out stand beside them: :mod:`~companion.classifier.estimator` for scikit-learn,
:mod:`~companion.classifier.hub` for sharing, and :mod:`~companion.classifier.export` with
:mod:`~companion.classifier.serving` for ONNX.
"""
