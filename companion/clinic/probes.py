"""What the checker tries: a function a case, which gives the first symptom, or None.

A symptom says what happens and not why. The inputs are small and fixed, so that each answer can be
followed by hand.
"""

import copy
import string
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "answers",
    "attention",
    "best_weights",
    "clip",
    "document_vector",
    "dropout",
    "ends",
    "mean_loss",
    "mean_vector",
    "prepare",
    "softmax",
    "split",
    "step",
    "tokens",
    "vocabulary",
]

Function = Callable[..., Any]
LENGTHS = torch.tensor([2, 5, 3])
TIME, HIDDEN = 5, 4


def tokens(function: Function) -> str | None:
    """Words stay whole, and every sign between two words parts them."""
    if _words(function, "Shares ROSE today") != ["shares", "rose", "today"]:
        return "the words of 'Shares ROSE today' are not shares, rose, today"
    for sign in string.punctuation + "，。！？：；（）“”":
        if sign in "'_":  # rules differ on these two
            continue
        found = _words(function, f"profit{sign}loss")
        if found != ["profit", "loss"]:
            return f"'profit{sign}loss' comes out as {found}"
    return None if _words(function, " \t\n ") == [] else "a text without words has some"


def _words(function: Function, text: str) -> list[str]:
    return list(function(text))


def prepare(function: Function) -> str | None:
    """The result is right, and the caller's table is as it was."""
    frame = pd.DataFrame({"text": ["Profit", "LOSS"], "label": ["a", "b"]}, index=[7, 3])
    before = frame.copy(deep=True)
    result = function(frame)
    if list(result["text"]) != ["profit", "loss"] or list(result["label"]) != ["a", "b"]:
        return "the table that comes out is not the one asked for"
    if not frame.equals(before):
        return "the table that went in has changed"
    result.loc[7, "label"] = "changed"
    return None if frame.equals(before) else "a change of the result changes the table that went in"


def vocabulary(function: Function) -> str | None:
    """Ids are those of the words, each once, and the same in every process."""
    documents = [["the", "cat", "sat"], ["the", "dog", "ran", "off"]]
    words = {word for document in documents for word in document}
    ids = function(copy.deepcopy(documents))
    if ids.get("<pad>") != 0 or ids.get("<unk>") != 1:
        return "<pad> is not 0 or <unk> is not 1"
    if set(ids) != words | {"<pad>", "<unk>"}:
        return "its words are not those of the documents"
    if sorted(ids.values()) != list(range(len(ids))):
        return f"the ids are {sorted(ids.values())}: not each number once"
    seen = {tuple(_ids_in_another_process(function, documents, salt)) for salt in range(8)}
    if len(seen) > 1:
        return f"eight processes number the same words in {len(seen)} ways"
    return None


def _ids_in_another_process(
    function: Function, documents: list[list[str]], salt: int
) -> list[tuple[str, int]]:
    """Number words whose hashes differ, as those of texts do from process to process."""

    class Word(str):
        def __hash__(self) -> int:
            return zlib.crc32(f"{salt} {self}".encode())

    salted = function([[Word(word) for word in document] for document in documents])
    return sorted((str(word), number) for word, number in salted.items())


def split(function: Function) -> str | None:
    """The parts are whole, apart, repeatable, hold every class, and share no text."""
    texts = [f"document {number}" for number in range(95)]
    labels = [int(number % 19 == 0) for number in range(95)]  # five of class 1
    train, test = map(list, function(texts, labels, 0))
    if sorted(train + test) != list(range(95)):
        return "some document is in neither part, or in both"
    if not 0.15 <= len(test) / 95 <= 0.25:
        return f"the test part has {len(test)} of 95 documents"
    if (train, test) != tuple(map(list, function(texts, labels, 0))):
        return "the same seed gives another split"
    draws = [function(texts, labels, seed) for seed in range(40)]
    if len({tuple(sorted(part)) for _, part in draws}) == 1:
        return "forty seeds give the same split"
    empty = sum(not any(labels[index] for index in part) for _, part in draws)
    if empty:
        return f"in {empty} of 40 test parts a class is missing"
    twins = texts[:80] + texts[:15]
    leaks = 0
    for seed in range(10):
        train, test = function(twins, labels, seed)
        leaks += len({twins[index] for index in train} & {twins[index] for index in test})
    return f"in ten splits {leaks} texts are in both parts" if leaks else None


def _states(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(LENGTHS), TIME, HIDDEN, generator=generator)


def _padded_otherwise(states: Tensor) -> Tensor:
    """The same documents with other numbers after their end, and two more steps of padding."""
    longer = torch.full((len(states), TIME + 2, HIDDEN), 9.0)
    for row, length in enumerate(LENGTHS.tolist()):
        longer[row, :length] = states[row, :length]
    return longer


def document_vector(function: Function) -> str | None:
    """The vector is the state after the last word, whatever stands behind it."""
    return _pooled(function, lambda states: states[-1], "it is not the state after the last word")


def mean_vector(function: Function) -> str | None:
    """The mean is over the words alone."""
    return _pooled(
        function, lambda states: states.mean(0), "it is not the mean of the words' states"
    )


def _pooled(function: Function, pool: Callable[[Tensor], Tensor], symptom: str) -> str | None:
    """Compare with what each document's own states give."""
    states = _states()
    found = function(states, LENGTHS)
    if (fault := _shape(found, (3, HIDDEN))) is not None:
        return fault
    if fault := _moved(found, function(_padded_otherwise(states), LENGTHS)):
        return fault
    expected = torch.stack([pool(states[row, :length]) for row, length in enumerate(LENGTHS)])
    return None if torch.allclose(found, expected) else symptom


def _shape(found: Tensor, expected: tuple[int, ...]) -> str | None:
    shape = tuple(found.shape)
    return None if shape == expected else f"its shape is {shape} where {expected} is right"


def _moved(found: Tensor, otherwise: Tensor) -> str | None:
    """Say how far a document's vector moves when only its padding changes."""
    if torch.allclose(found, otherwise):
        return None
    distance = (found - otherwise).abs().max().item()
    return f"a document's vector moves by {distance:.1f} when only the padding behind it changes"


def ends(function: Function) -> str | None:
    """Each half has read the whole document."""
    forward, backward = _states(0), _states(1)
    found = function(forward, backward, LENGTHS)
    if (fault := _shape(found, (3, 2 * HIDDEN))) is not None:
        return fault
    last = torch.stack([forward[row, length - 1] for row, length in enumerate(LENGTHS)])
    if not torch.equal(found[:, :HIDDEN], last):
        return "the first half is not the forward state after the last word"
    if torch.equal(found[:, HIDDEN:], backward[:, 0]):
        return None
    return "change any word but the last, and the second half stays the same"


def softmax(function: Function) -> str | None:
    """Rows are probabilities, and large scores are no different."""
    scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]])
    found = np.asarray(function(scores.copy()))
    if found.shape != scores.shape or not np.allclose(found.sum(axis=1), 1):
        return "the probabilities of a row do not add up to 1"
    with np.errstate(all="ignore"):
        logarithms = np.log(found[:, 1] / found[:, 0])
    if not np.allclose(logarithms, scores[:, 1] - scores[:, 0]):
        return "a score that is larger by 1 is not e times as probable"
    with np.errstate(all="ignore"):
        large = np.asarray(function(scores + 1000))
    return None if np.allclose(large, found) else f"with 1000 added to all scores: {large[0]}"


def mean_loss(function: Function) -> str | None:
    """A document counts the same in every batch."""
    if not np.isclose(function([1.0, 3.0], [8, 8]), 2.0):
        return "two batches of one size with losses 1 and 3 do not give 2"
    if np.isclose(function([1.0, 3.0], [31, 1]), (31 + 3) / 32):
        return None
    return "a last batch of one document weighs as much as a full one"


def step(function: Function) -> str | None:
    """Two steps move the model as two steps of gradient descent do."""
    torch.manual_seed(0)
    inputs, labels = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    model = nn.Linear(3, 2)
    expected, optimizer = copy.deepcopy(model), torch.optim.SGD(model.parameters(), lr=0.5)
    for number in (1, 2):
        right = _descend(expected, inputs, labels, 0.5)
        loss = function(model, optimizer, inputs, labels)
        if not isinstance(loss, float):
            return f"the loss is no number but a {type(loss).__name__}"
        if not np.isclose(loss, right, rtol=1e-5):
            return f"the loss of step {number} is {loss:.4f}, and {right:.4f} is right"
        if not _same(model, expected):
            return f"after step {number} the weights are not where gradient descent goes"
    return None


def _descend(model: nn.Module, inputs: Tensor, labels: Tensor, rate: float) -> float:
    loss = functional.cross_entropy(model(inputs), labels)
    parameters = list(model.parameters())
    with torch.no_grad():
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(rate * gradient)
    return float(loss.item())


def _same(model: nn.Module, other: nn.Module) -> bool:
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in pairs)


def answers(function: Function) -> str | None:
    """The answers are the same each time, cost no graph, and change nothing."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.9), nn.Linear(64, 3))
    inputs = torch.randn(50, 4)
    right = copy.deepcopy(model).eval()(inputs).argmax(dim=1)
    first, second = function(model, inputs), function(model, inputs)
    if not torch.equal(first, second):
        return f"asked twice, it changes {(first != second).sum().item()} of 50 answers"
    if not torch.equal(first, right):
        return "its answers are not the classes with the largest scores"
    if not model.training:
        return "a model that was in training is so no more"
    function(model.eval(), inputs)
    return "a model that was not in training is so now" if model.training else None


def best_weights(function: Function) -> str | None:
    """What comes back is the best epoch, not the last one."""
    model = nn.Linear(1, 1)

    def epochs() -> Iterator[float]:
        for number, loss in enumerate([0.9, 0.4, 0.6, 0.7], 1):
            with torch.no_grad():
                model.weight.fill_(number)
            yield loss

    weights = function(model, epochs())
    epoch = int(weights["weight"].item())
    if epoch == 4 and int(model.weight.item()) == 4:
        return "the losses are 0.9, 0.4, 0.6, 0.7, and the weights are those of epoch 4"
    return None if epoch == 2 else f"the weights are those of epoch {epoch}, and 2 was the best"


def clip(function: Function) -> str | None:
    """The length is bounded, the direction stays, short gradients stay."""
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([[0.0], [4.0]])]
    found = function([gradient.clone() for gradient in gradients], 1.0)
    length = torch.cat([each.flatten() for each in found]).norm().item()
    if length > 1.001:
        return f"bounded to 1, the whole gradient is {length:.2f} long"
    if length < 0.999:
        return f"bounded to 1, a gradient of length 5 is only {length:.2f} long"
    if not all(torch.allclose(a * 5, b) for a, b in zip(found, gradients, strict=True)):
        return "the gradient points another way"
    short = [gradient * 0.1 for gradient in gradients]
    kept = function([gradient.clone() for gradient in short], 1.0)
    if not all(torch.allclose(a, b) for a, b in zip(kept, short, strict=True)):
        return "a gradient that is short enough changes"
    zero = function([torch.zeros(2)], 1.0)[0]
    return None if torch.equal(zero, torch.zeros(2)) else "a gradient of zero is not zero any more"


def dropout(function: Function) -> str | None:
    """The expected value stays, in training and after it."""
    torch.manual_seed(0)
    values = torch.ones(20_000)
    kept, second = function(values, 0.25, True), function(values, 0.25, True)
    if not torch.equal(function(values, 0.25, False), values):
        return "after training the values change"
    if not torch.equal(function(values, 0.0, True), values):
        return "with probability 0 the values change"
    share = (kept == 0).float().mean().item()
    if not 0.22 < share < 0.28:
        return f"with probability 0.25, a share of {share:.2f} is zero"
    if torch.equal(kept, second):
        return "it drops the same values each time"
    mean = kept.mean().item()
    return None if 0.97 < mean < 1.03 else f"the mean of the values falls from 1 to {mean:.2f}"


def attention(function: Function) -> str | None:
    """Weights add up to 1 over the keys that may be seen; scores are scaled."""
    queries, keys = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    ones = torch.ones(3, 2)
    everything = torch.ones(1, 3, dtype=torch.bool)
    total = function(queries, keys, ones, everything)
    if (fault := _shape(total, (1, 2))) is not None:
        return fault
    if not torch.allclose(total, torch.ones(1, 2)):
        return f"the weights of a query add up to {total[0, 0].item():.2f}"
    values = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    if not torch.allclose(
        function(queries, keys, values, everything),
        functional.scaled_dot_product_attention(queries, keys, values),
        atol=1e-5,
    ):
        return "with all keys allowed it is not softmax(QKᵀ/√d)V"
    some = torch.tensor([[True, False, True]])
    partial = function(queries, keys, ones, some)
    if not torch.allclose(partial, torch.ones(1, 2), atol=1e-5):
        return f"with a key hidden, the weights of a query add up to {partial[0, 0].item():.2f}"
    louder = values + torch.tensor([[0.0], [100.0], [0.0]])
    if not torch.allclose(
        function(queries, keys, values, some), function(queries, keys, louder, some)
    ):
        return "what a query may not see changes its answer"
    return None
