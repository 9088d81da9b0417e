"""Sort texts by asking a language model, without training it.

Explained in :doc:`/questions/service`, "Choose the way".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from companion.errors import DataError

__all__ = ["NO_CONTENT", "PromptedClassifier", "prompt"]

NO_CONTENT = "N/A"
_TASK = "Each headline of a newspaper belongs to one section: {sections}.\n\n"


def prompt(labels: Sequence[str], examples: Sequence[tuple[str, str]] = ()) -> str:
    """Write the task and, if there are any, solved examples; a question comes after it.

    Args:
        labels: The classes.
        examples: Headlines with their class.

    >>> print(prompt(["business", "sports"], [("Shares rise", "business")]))
    Each headline of a newspaper belongs to one section: business, sports.
    <BLANKLINE>
    Headline: Shares rise
    Section: business
    <BLANKLINE>
    <BLANKLINE>
    """
    task = _TASK.format(sections=", ".join(labels))
    return task + "".join(f"{_question(text)} {label}\n\n" for text, label in examples)


class PromptedClassifier:
    """A causal language model that is asked for the next token after ``Section:``.

    The answer is the class whose first token is the most probable. A model prefers some classes
    whatever the headline says, so each probability is divided by what the model gives to a question
    without content, and the quotients are made to add up to 1 (contextual calibration).

    Args:
        tokenizer: That of the model.
        model: A causal model of transformers.
        labels: The classes.
        examples: Solved headlines that are shown before each question.
        calibrate: Divide by the answer to :data:`NO_CONTENT`.

    Raises:
        DataError: If two classes begin with the same token, so that one token cannot tell them
            apart.
    """

    def __init__(
        self,
        tokenizer: Any,
        model: Any,
        labels: Sequence[str],
        examples: Sequence[tuple[str, str]] = (),
        *,
        calibrate: bool = True,
    ) -> None:
        self.labels = list(labels)
        self._tokenizer, self._model = tokenizer, model
        self._answers = [self._ids(f" {label}")[0] for label in self.labels]
        if len(set(self._answers)) < len(self.labels):
            raise DataError("two classes begin with the same token; give them other names")
        self._prefix = self._ids(prompt(labels, examples))
        self._cache = self._read(self._prefix).past_key_values
        self._prior = np.ones(len(self.labels))
        if calibrate:
            self._prior = self._ask(NO_CONTENT)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Give the probability of each class for each headline: ``(documents, classes)``."""
        weighed = np.array([self._ask(text) for text in texts]) / self._prior
        return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Give the most probable class of each headline."""
        return [self.labels[index] for index in self.predict_proba(texts).argmax(axis=1)]

    def tokens(self, text: str) -> int:
        """Count the tokens of a whole request: the task, the examples and the question."""
        return len(self._prefix) + len(self._ids(_question(text)))

    def _ask(self, text: str) -> NDArray[np.float64]:
        """Read one question after the prefix, which was read once and is kept."""
        ids = self._ids(_question(text))
        logits = self._read(ids, self._cache).logits[0, -1]
        self._cache.crop(-len(ids))
        return np.asarray(logits[self._answers].double().softmax(dim=0))

    @torch.inference_mode()
    def _read(self, ids: list[int], cache: Any = None) -> Any:
        return self._model(torch.tensor([ids]), past_key_values=cache, use_cache=True)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _question(text: str) -> str:
    return f"Headline: {text}\nSection:"
