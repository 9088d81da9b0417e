"""Fine-tuning a pretrained transformer on your own texts, in the order in which the data flows.

:mod:`~companion.finetuning.pretrained` → :mod:`~companion.finetuning.model` →
:mod:`~companion.finetuning.training` → :mod:`~companion.finetuning.estimator` →
:mod:`~companion.finetuning.saving`. It needs the extra ``finetuning``: transformers, peft, and the
package that carries the pretrained weights.
"""
