"""A BERT of a few thousand random weights, with a vocabulary of a few words."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from tests.conftest import COMMON, TOPICS

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*COMMON, *(word for words in TOPICS.values() for word in words)]
BINS = [f"c{column}{kind}{bin_}" for column in range(12) for kind in "bq" for bin_ in range(16)]


def save_tiny_bert(folder: Path, seed: int = 0, layers: int = 3) -> Path:
    """Write a random BERT and its tokenizer as transformers does."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [*SPECIAL, *WORDS, *BINS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        configuration = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            initializer_range=0.05,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        BertModel(configuration).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("tiny_bert"))


@pytest.fixture(scope="session")
def other_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("other_bert"), seed=1)
