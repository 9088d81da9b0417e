"""The mean of embeddings against the sum written out, and against the counts of words."""

import torch

from companion.training.embedding import MeanOfEmbeddings, train_embeddings

DOCUMENTS = [[2, 3, 3], [4], [2, 4, 1, 0]]


def test_a_document_is_the_mean_of_its_rows() -> None:
    model = MeanOfEmbeddings(5, 2, embedding_size=3)
    table = model.embedding.weight
    means = torch.stack([table[document].mean(0) for document in DOCUMENTS])
    torch.testing.assert_close(model(DOCUMENTS), model.head(means), rtol=1e-12, atol=1e-12)


def test_an_embedding_is_a_matrix_times_counts() -> None:
    model = MeanOfEmbeddings(5, 2, embedding_size=3)
    counts = torch.zeros(3, 5, dtype=torch.float64)
    for row, document in enumerate(DOCUMENTS):
        for token_id in document:
            counts[row, token_id] += 1 / len(document)
    expected = model.head(counts @ model.embedding.weight)
    torch.testing.assert_close(model(DOCUMENTS), expected, rtol=1e-12, atol=1e-12)


def test_it_learns_which_word_means_what_and_only_words_it_saw() -> None:
    documents, labels = [[2, 4], [3, 4]] * 20, torch.tensor([0, 1] * 20)
    model = MeanOfEmbeddings(6, 2, embedding_size=4)
    unused = model.embedding.weight[5].clone()
    train_embeddings(model, documents, labels)
    assert model([[2], [3]]).argmax(1).tolist() == [0, 1]
    assert torch.equal(model.embedding.weight[5], unused)
