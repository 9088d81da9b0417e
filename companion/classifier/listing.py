"""The mistakes of the article's listing, in our own words, so that they can be seen and measured.

Explained in :doc:`/project/listing`. Nothing in the pipeline imports this module: it is what not to
do, beside the least that puts it right.
"""

import json
import os
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from companion.classifier.corpus import Splits, _locate, _read_folders, load_corpus, split_corpus
from companion.classifier.text import tokenize

__all__ = [
    "EFFECTS",
    "LISTED_PUNCTUATION",
    "LISTED_STOP_WORDS",
    "STAGES",
    "Effect",
    "Fitted",
    "Ladder",
    "ListingClassifier",
    "absence_probability",
    "clean_in_place",
    "cleanings",
    "failure",
    "fit",
    "glue",
    "gradient_norm",
    "logit_spread",
    "pad_to",
    "padding_amnesia",
    "pip_answer",
    "predict",
    "read_bbc_with_duplicates",
    "remove_stop_words",
    "set_order",
    "share_correct",
    "short_news",
    "spell_out",
    "twins",
]

LISTED_PUNCTUATION = frozenset(string.punctuation) - {'"', "\\"}
LISTED_STOP_WORDS = frozenset({"a", "an", "and", "are", "but", "is", "or", "the"})
STAGES = ("install", "import", "data", "batch", "forward", "loss", "validation", "test")


def failure(action: Callable[[], object]) -> str:
    """Run something that must fail, and give the first line of what Python says.

    Args:
        action: A call without arguments.

    Returns:
        The type and the first line of the message: ``"KeyError: 'text'"``.

    Raises:
        AssertionError: If nothing fails, so that a page which promises an error cannot go stale.

    >>> failure(lambda: 1 / 0)
    'ZeroDivisionError: division by zero'
    """
    try:
        action()
    except Exception as error:
        message = str(error).strip().splitlines()
        return f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
    raise AssertionError("this was expected to fail, and it did not")


@dataclass
class Ladder:
    """The errors that a reader meets, one after the other, each after repairing the one before.

    >>> ladder = Ladder()
    >>> ladder.add("data", lambda: {}["text"])
    "L01 KeyError: 'text'"
    """

    rungs: list[dict[str, str]] = field(default_factory=list)

    def add(self, stage: str, action: Callable[[], object], name: str = "") -> str:
        """Run something that must fail, and put its error on top of the ladder.

        Args:
            stage: Where in the program it fails; one of :data:`STAGES`.
            action: A call without arguments.
            name: A word or two for figures; the type of the error where none is given.

        Returns:
            The number of the rung and what Python says.

        Raises:
            AssertionError: If nothing fails.
            ValueError: If there is no such stage.
        """
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is no stage; choose one of: {', '.join(STAGES)}")
        error = failure(action)
        number = f"L{len(self.rungs) + 1:02}"
        name = name or error.partition(":")[0]
        self.rungs.append({"rung": number, "stage": stage, "error": error, "name": name})
        return f"{number} {error}"

    def table(self) -> pd.DataFrame:
        """Give the columns ``rung``, ``stage`` (ordered), ``error`` and ``name`` of all rungs."""
        table = pd.DataFrame(self.rungs, columns=["rung", "stage", "error", "name"])
        return table.assign(stage=pd.Categorical(table["stage"], STAGES, ordered=True))


def remove_stop_words(text: str) -> str:
    """Drop the eight words of the listing's stop list."""
    return " ".join(word for word in text.split() if word.lower() not in LISTED_STOP_WORDS)


def spell_out(text: str) -> str:
    """Clean a text as the listing does: words fall apart into letters, and an "a" is a stop word.

    >>> spell_out("Shares rose today.")
    'S h r e s r o s e t o d y'
    """
    return remove_stop_words(
        " ".join(filter(lambda character: character not in LISTED_PUNCTUATION, text))
    )


def glue(text: str) -> str:
    """Clean a text by the obvious repair: punctuation vanishes and its neighbours meet.

    >>> glue("a rise of 3.14 per-cent")
    'rise of 314 percent'
    """
    return remove_stop_words(
        "".join(filter(lambda character: character not in LISTED_PUNCTUATION, text))
    )


def cleanings(text: str) -> dict[str, list[str]]:
    """Give the pieces that a text has as written, after the listing, and after our tokenizer.

    >>> cleanings("At last!")["the listing"]
    ['t', 'l', 's', 't']
    """
    return {
        "as written": text.split(),
        "the listing": spell_out(text).split(),
        "corrected": tokenize(text),
    }


def clean_in_place(frame: pd.DataFrame, clean: Callable[[str], str] = spell_out) -> pd.DataFrame:
    """Clean the column ``text`` of a table and, like the listing, overwrite the caller's table."""
    frame["text"] = frame["text"].apply(clean)
    return frame


def pad_to(
    documents: Sequence[Sequence[int]], length: int = 0, padding_id: int = 0
) -> tuple[Tensor, Tensor]:
    """Pad documents on the right, at least to the longest of them.

    Args:
        documents: Lists of token ids, none of them empty.
        length: Pad further, up to this length.
        padding_id: The id that fills the rest.

    Returns:
        ``(documents, time)`` ids and ``(documents,)`` lengths before the padding.
    """
    lengths = torch.tensor([len(document) for document in documents])
    token_ids = torch.full((len(documents), max(length, int(lengths.max()))), padding_id)
    for row, document in zip(token_ids, documents, strict=True):
        row[: len(document)] = torch.tensor(document)
    return token_ids, lengths


class ListingClassifier(nn.Module):
    """The shape of the article's network: embedding, LSTM, and a linear layer on its last state.

    Without ``lengths`` the last state is the one after the padding, as in the listing. With
    ``lengths`` it is the state at each document's last real word.

    Args:
        vocabulary_size: Rows of the embedding.
        embedding_size: Numbers a word; the article has 100.
        hidden_size: Numbers of LSTM state; the article has 256.
        classes: Outputs; the article has 2.
        layers: LSTM layers; the article has 2.
        dropout: Between the LSTM layers only, as in the article.
        padding_id: The id whose embedding stays zero; the listing has none.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int = 100,
        hidden_size: int = 256,
        classes: int = 2,
        layers: int = 2,
        dropout: float = 0.5,
        padding_id: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=padding_id)
        self.lstm = nn.LSTM(embedding_size, hidden_size, layers, batch_first=True, dropout=dropout)
        self.head = nn.Linear(hidden_size, classes)

    def forward(self, token_ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Give ``(batch, classes)`` logits for ``(batch, time)`` ids."""
        states, (hidden, _) = self.lstm(self.embedding(token_ids))  # states: (batch, time, hidden)
        if lengths is not None:
            hidden = states[
                None, torch.arange(len(token_ids)), lengths - 1
            ]  # (1, batch, hidden): the last word
        logits: Tensor = self.head(hidden[-1])
        return logits


def logit_spread(
    model: nn.Module,
    documents: Sequence[Sequence[int]],
    pads: int,
    *,
    use_lengths: bool,
    padding_id: int = 0,
) -> float:
    """Measure how much the first logit differs between documents that are followed by padding.

    Args:
        model: A :class:`ListingClassifier`, in evaluation mode.
        documents: Lists of token ids.
        pads: Padding after the longest document.
        use_lengths: Whether the model is told where each document ends.
        padding_id: The id that pads.

    Returns:
        The standard deviation over the documents. Zero means that the model cannot tell them apart.
    """
    return _spread(
        lambda token_ids, lengths: model(token_ids, lengths if use_lengths else None),
        documents,
        pads,
        padding_id,
    )


def padding_amnesia(
    readers: Mapping[str, Callable[[Tensor, Tensor], Tensor]],
    documents: Sequence[Sequence[int]],
    pads: Sequence[int],
    padding_id: int = 0,
) -> pd.DataFrame:
    """Measure what ways to read documents still tell apart, with more and more padding behind them.

    Explained in :doc:`/project/listing`, S7.

    Args:
        readers: By name, functions that give ``(documents, classes)`` logits for
            ``(documents, time)`` ids and ``(documents,)`` lengths.
        documents: Lists of token ids.
        pads: Numbers of padding ids after the longest document.
        padding_id: The id that pads.

    Returns:
        The standard deviation over the documents of the first logit: a row for each number of pads,
        a column for each reader.
    """
    spreads = {
        name: [_spread(read, documents, count, padding_id) for count in pads]
        for name, read in readers.items()
    }
    return pd.DataFrame(spreads, index=pd.Index(pads, name="pads"))


@torch.no_grad()
def _spread(
    read: Callable[[Tensor, Tensor], Tensor],
    documents: Sequence[Sequence[int]],
    pads: int,
    padding_id: int,
) -> float:
    token_ids, lengths = pad_to(documents, max(map(len, documents)) + pads, padding_id)
    return float(read(token_ids, lengths)[:, 0].std())


def gradient_norm(model: nn.Module) -> float:
    """Give the length of the gradient of all parameters together."""
    return float(
        torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    )


def set_order(tokens: Sequence[str], hash_seed: int) -> list[str]:
    """Give the order in which a new Python process lists the set of these tokens.

    Args:
        tokens: Distinct tokens.
        hash_seed: The PYTHONHASHSEED of the process; Python draws one at random where none is set.

    Returns:
        The same tokens in the order of that process.
    """
    program = "import json, sys; print(json.dumps(list(set(json.load(sys.stdin)))))"
    result = subprocess.run(
        [sys.executable, "-S", "-c", program],
        input=json.dumps(list(tokens)),
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    order: list[str] = json.loads(result.stdout)
    return order


def absence_probability(documents: int, minority: int, drawn: int) -> float:
    """Give the probability that a draw without replacement holds no document of the minority.

    >>> round(absence_probability(100, 5, 20), 3)
    0.319
    """
    return comb(documents - minority, drawn) / comb(documents, drawn)


def twins(left: pd.Series, right: pd.Series, key: Callable[[str], object] = str) -> int:
    """Count the texts on the right that also stand on the left, compared by a key."""
    known = {key(text) for text in left}
    return sum(key(text) in known for text in right)


def read_bbc_with_duplicates() -> pd.DataFrame:
    """Read the BBC news as published, with its duplicates.

    :func:`~companion.classifier.corpus.load_corpus` removes them.
    """
    return _read_folders(_locate("bbc"))


def short_news(
    classes: Sequence[str] = ("business", "politics"), words: int = 30, seed: int = 0
) -> Splits:
    """Give a small task for quick experiments: the first words of the BBC news of some classes."""
    news = load_corpus("bbc")
    news = news[news["label"].isin(classes)].reset_index(drop=True)
    short = news.assign(text=[" ".join(text.split()[:words]) for text in news["text"]])
    return split_corpus(short, seed=seed)


_PIP = """
import sys, sysconfig
stdlib, base_prefix, *arguments = sys.argv[1:]
real = sysconfig.get_path
sysconfig.get_path = lambda name, *rest, **more: (
    stdlib if name == "stdlib" else real(name, *rest, **more)
)
sys.base_prefix = base_prefix or sys.prefix
from pip._internal.cli.main import main
sys.exit(main(arguments))
"""


def pip_answer(*, marked: bool, virtual: bool, options: Sequence[str] = ()) -> str:
    """Ask pip, in a Python that is dressed up, to install from nowhere; nothing is installed.

    Args:
        marked: Whether the folder of the standard library holds the file EXTERNALLY-MANAGED.
        virtual: Whether the Python is a virtual environment, that is, its prefix is not the base
            prefix.
        options: More options of ``pip install``.

    Returns:
        The first line of pip's that names an error.
    """
    with tempfile.TemporaryDirectory() as stdlib:
        if marked:
            (Path(stdlib) / "EXTERNALLY-MANAGED").touch()
        program = [sys.executable, "-c", _PIP, stdlib, "elsewhere" if virtual else ""]
        question = [
            "--isolated",
            "--no-color",
            "install",
            "--no-index",
            *options,
            "no-such-package",
        ]
        plain = {name: value for name, value in os.environ.items() if "COLOR" not in name}
        result = subprocess.run([*program, *question], capture_output=True, text=True, env=plain)
    lines = result.stderr.splitlines()
    return next(line for line in lines if line.lower().startswith("error"))


@dataclass(frozen=True)
class Effect:
    """One way to prepare the data and read the network, whose accuracy is measured.

    Args:
        title: A name for tables and figures.
        clean: Turns a text into its tokens.
        use_lengths: Whether the state at the last word is read, not the one after the padding.
        length: Every batch is padded to at least this length.
        reserve_padding: Whether padding has an id of its own and a zero vector, or shares a word's
            id.
    """

    title: str = "all put right"
    clean: Callable[[str], list[str]] = tokenize
    use_lengths: bool = True
    length: int = 0
    reserve_padding: bool = True


def _spell(text: str) -> list[str]:
    return spell_out(text).split()


def _without_stop_words(text: str) -> list[str]:
    return [token for token in tokenize(text) if token not in LISTED_STOP_WORDS]


EFFECTS = {
    "right": Effect(),
    "no_stop_words": Effect("without the eight stop words", _without_stop_words),
    "after_padding": Effect("state after the padding", use_lengths=False),
    "after_padding_64": Effect(
        "state after the padding, padded to 64", use_lengths=False, length=64
    ),
    "shared_id": Effect(
        "padding shares a word's id, too", use_lengths=False, reserve_padding=False
    ),
    "letters": Effect("letters instead of words", _spell),
    "letters_after_padding": Effect("letters, state after the padding", _spell, use_lengths=False),
}


@dataclass(frozen=True)
class Fitted:
    """A small trained network with what it takes to ask it."""

    model: ListingClassifier
    effect: Effect
    ids: dict[str, int]
    classes: list[str]


def fit(
    train: pd.DataFrame,
    effect: Effect,
    *,
    seed: int = 0,
    epochs: int = 10,
    after: Callable[[Fitted], None] | None = None,
) -> Fitted:
    """Train a small network of the listing's shape with Adam at 1e-3 and batches of 32.

    Args:
        train: The columns ``text`` and ``label``.
        effect: What is done right and what is not.
        seed: Fixes the weights, the order of the batches and the dropout.
        epochs: Passes over the training documents.
        after: Called after each epoch.

    Returns:
        The trained network.
    """
    torch.manual_seed(seed)
    fitted = _untrained(train, effect)
    encoded = [_encode(fitted, effect.clean(text)) for text in train["text"]]
    labels = torch.tensor([fitted.classes.index(label) for label in train["label"]])
    optimizer = torch.optim.Adam(fitted.model.parameters(), lr=1e-3)
    for _ in range(epochs):
        fitted.model.train()
        for rows in _batches(len(encoded)):
            optimizer.zero_grad()
            logits = _logits(fitted, [encoded[row] for row in rows])
            nn.functional.cross_entropy(logits, labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        fitted.model.eval()
        if after is not None:
            after(fitted)
    return fitted


def _untrained(train: pd.DataFrame, effect: Effect) -> Fitted:
    """Give ids to the words of the training texts, and a network its first weights."""
    first = 1 if effect.reserve_padding else 0
    words = sorted({word for text in train["text"] for word in effect.clean(text)})
    classes = sorted(train["label"].unique())
    padding_id = 0 if effect.reserve_padding else None
    model = ListingClassifier(len(words) + first, 32, 64, len(classes), padding_id=padding_id)
    return Fitted(
        model, effect, {word: number for number, word in enumerate(words, start=first)}, classes
    )


def _batches(documents: int, size: int = 32) -> list[Tensor]:
    order = torch.randperm(documents)
    return [order[start : start + size] for start in range(0, documents, size)]


@torch.no_grad()
def predict(fitted: Fitted, texts: Sequence[str], ids: dict[str, int] | None = None) -> Tensor:
    """Give ``(texts, classes)`` logits, in batches of 32 in the order of the texts.

    Args:
        fitted: A trained network.
        texts: Texts with at least one token each.
        ids: Read the words by these ids and not by those of the training.

    Returns:
        The logits.
    """
    known = fitted if ids is None else Fitted(fitted.model, fitted.effect, ids, fitted.classes)
    encoded = [_encode(known, fitted.effect.clean(text)) for text in texts]
    return torch.cat(
        [_logits(known, encoded[start : start + 32]) for start in range(0, len(encoded), 32)]
    )


def share_correct(fitted: Fitted, frame: pd.DataFrame, ids: dict[str, int] | None = None) -> float:
    """Give the accuracy on a table with the columns ``text`` and ``label``."""
    right = torch.tensor([fitted.classes.index(label) for label in frame["label"]])
    found = predict(fitted, frame["text"].tolist(), ids).argmax(dim=1)
    return float((found == right).float().mean())


def _encode(fitted: Fitted, tokens: Sequence[str]) -> list[int]:
    """Give the ids of the tokens without unknown ones, so that nothing but the bug differs."""
    return [fitted.ids[token] for token in tokens if token in fitted.ids] or [0]


def _logits(fitted: Fitted, encoded: Sequence[Sequence[int]]) -> Tensor:
    token_ids, lengths = pad_to(encoded, fitted.effect.length)
    logits: Tensor = fitted.model(token_ids, lengths if fitted.effect.use_lengths else None)
    return logits
