"""A trained model with its vocabulary and labels: what answers a question.

Explained in :doc:`/project/using`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from companion.classifier.batches import batches_by_length
from companion.classifier.configuration import Configuration
from companion.classifier.device import accurate_float
from companion.classifier.device_table import DeviceTable
from companion.classifier.encoding import encode
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary
from companion.classifier.token_table import TokenTable

__all__ = ["TextClassifier"]


class TextClassifier:
    """A model and all that is needed to ask it.

    Args:
        model: The trained network.
        vocabulary: The vocabulary it was trained with.
        labels: The class of each logit.
        configuration: How it was trained, and how it reads a document.
    """

    def __init__(
        self,
        model: LSTMClassifier,
        vocabulary: Vocabulary,
        labels: Sequence[str],
        configuration: Configuration,
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.labels = list(labels)
        self.configuration = configuration

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next(self.model.parameters()).device

    def predict_proba(self, texts: Sequence[str], *, batch_size: int = 64) -> NDArray[np.float64]:
        """Give the probability of each class for each text.

        The answer to a text does not depend on the texts beside it.

        Args:
            texts: The documents.
            batch_size: How many are read at once; it changes the speed and not the answer.

        Returns:
            ``(documents, classes)``; the columns are in the order of ``labels`` and each row adds
            up to 1.

        Raises:
            DataError: If ``texts`` is one string and no sequence of them.
            EmptyDocumentError: If a text has no token.
        """
        documents = encode(texts, self.vocabulary, self.configuration.maximum_words)
        return self.predict_encoded(documents, batch_size=batch_size)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Give the most probable class of each text; see :meth:`predict_proba`."""
        return [self.labels[index] for index in self.predict_proba(texts).argmax(axis=1)]

    def predict_encoded(
        self, documents: DeviceTable | TokenTable | Sequence[Sequence[int]], *, batch_size: int = 64
    ) -> NDArray[np.float64]:
        """Do the work of :meth:`predict_proba` for documents that are token ids already.

        The answers stay on the model's device until all are there, so that a GPU is not waited for.
        """
        batches = (
            documents.batches_by_length(batch_size)
            if isinstance(documents, DeviceTable)
            else batches_by_length(documents, batch_size)
        )
        kind, device = accurate_float(self.device), self.device
        probabilities = torch.empty(len(documents), len(self.labels), dtype=kind, device=device)
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                for batch in batches:
                    logits = self.model(batch.token_ids.to(device), batch.lengths.to(device))
                    rows = torch.as_tensor(batch.rows, device=device)
                    probabilities[rows] = logits.to(kind).softmax(dim=1)
        finally:
            self.model.train(was_training)
        return probabilities.cpu().double().numpy()
