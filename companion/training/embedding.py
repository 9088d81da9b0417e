"""The smallest classifier whose word vectors are learned inside of it.

Explained in :doc:`/training/data`, "Vectors are learned, not prepared".
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MeanOfEmbeddings", "train_embeddings"]


class MeanOfEmbeddings(nn.Module):
    """The mean of the vectors of a document's words, and a linear layer, in float64.

    Args:
        vocabulary_size: The number of ids.
        classes: The number of scores.
        embedding_size: The length of a vector.
        seed: Fixes the first vectors, N(0, 0.1²), and the first linear layer.
    """

    def __init__(
        self, vocabulary_size: int, classes: int, *, embedding_size: int = 32, seed: int = 0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.EmbeddingBag(vocabulary_size, embedding_size, dtype=torch.float64)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.head = nn.Linear(embedding_size, classes, dtype=torch.float64)

    def forward(self, documents: Sequence[Sequence[int]]) -> Tensor:
        """Score the classes.

        Args:
            documents: The ids of each document, at least one each.

        Returns:
            ``(documents, classes)``.
        """
        lengths = torch.tensor([len(document) for document in documents])
        token_ids = torch.tensor([token_id for document in documents for token_id in document])
        means = self.embedding(token_ids, lengths.cumsum(0) - lengths)
        scores: Tensor = self.head(means)
        return scores


def train_embeddings(
    model: MeanOfEmbeddings,
    documents: Sequence[Sequence[int]],
    labels: Tensor,
    *,
    epochs: int = 8,
    batch_size: int = 32,
    learning_rate: float = 0.01,
    seed: int = 0,
) -> None:
    """Train the vectors and the linear layer together, in place, with Adam.

    Args:
        model: The classifier.
        documents: The ids of each document.
        labels: ``(documents,)``, int64.
        epochs: Passes over the documents.
        batch_size: Documents in a step.
        learning_rate: Of Adam.
        seed: Fixes the order of the documents.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, fused=True)
    for _ in range(epochs):
        order = torch.randperm(len(documents), generator=generator).tolist()
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            optimizer.zero_grad()
            logits = model([documents[row] for row in batch])
            loss = nn.functional.cross_entropy(logits, labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
