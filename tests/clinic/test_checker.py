"""The checker finds the bug of every patient, lets every cure go, and tells other bugs apart."""

import copy
import string
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import regex
import torch
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from torch import Tensor, nn
from torch.nn import functional

import companion
from companion.clinic import cases, check, patients
from companion.clinic.checker import _CASES
from companion.errors import DataError


def tokens(text: str) -> list[str]:
    return regex.findall(r"[\w']+", text.lower())


def prepare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(text=frame["text"].str.lower())


def vocabulary(documents: list[list[str]]) -> dict[str, int]:
    words = sorted({word for document in documents for word in document})
    return {"<pad>": 0, "<unk>": 1} | {word: number for number, word in enumerate(words, 2)}


def split(texts: list[str], labels: list[int], seed: int) -> tuple[list[int], list[int]]:
    groups = {text: index for index, text in enumerate(texts)}
    firsts = sorted(groups.values())
    _, test = train_test_split(
        firsts, test_size=0.2, random_state=seed, stratify=[labels[index] for index in firsts]
    )
    held_out = {texts[index] for index in test}
    places: tuple[list[int], list[int]] = ([], [])
    for index, text in enumerate(texts):
        places[text in held_out].append(index)
    return places


def document_vector(states: Tensor, lengths: Tensor) -> Tensor:
    return states[torch.arange(len(lengths)), lengths - 1]


def mean_vector(states: Tensor, lengths: Tensor) -> Tensor:
    mask = torch.arange(states.shape[1]) < lengths[:, None]
    return (states * mask[:, :, None]).sum(1) / lengths[:, None]


def ends(forward: Tensor, backward: Tensor, lengths: Tensor) -> Tensor:
    return torch.cat([document_vector(forward, lengths), backward[:, 0]], 1)


def softmax(scores: np.ndarray) -> np.ndarray:
    return torch.tensor(scores).softmax(1).numpy()


def mean_loss(losses: list[float], sizes: list[int]) -> float:
    return float(np.average(losses, weights=sizes))


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor
) -> float:
    optimizer.zero_grad()
    return patients.step(model, optimizer, inputs, labels)


def answers(model: nn.Module, inputs: Tensor) -> Tensor:
    was_training = model.training
    model.eval()
    found = patients.answers(model, inputs)
    model.train(was_training)
    return found


def best_weights(model: nn.Module, epochs: Any) -> dict[str, Tensor]:
    kept = [(loss, copy.deepcopy(model.state_dict())) for loss in epochs]
    return min(kept, key=lambda each: each[0])[1]


def clip(gradients: list[Tensor], bound: float) -> list[Tensor]:
    parameters = [nn.Parameter(torch.zeros_like(each)) for each in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, bound)
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    return functional.dropout(values, probability, training)


def attention(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)


CURES: dict[str, Callable[..., Any]] = {
    "cleaning": tokens,
    "argument": prepare,
    "vocabulary": vocabulary,
    "split": split,
    "padding": document_vector,
    "mean": mean_vector,
    "both ways": ends,
    "softmax": softmax,
    "mean loss": mean_loss,
    "step": step,
    "answers": answers,
    "best epoch": best_weights,
    "clip": clip,
    "dropout": dropout,
    "attention": attention,
}


@pytest.mark.parametrize("case", CURES)
def test_a_healthy_function_is_let_go(case: str) -> None:
    assert str(check(case, CURES[case])) == f"{case}: healthy"


@pytest.mark.parametrize("case", CURES)
def test_every_patient_is_ill_in_the_same_way_each_time(case: str) -> None:
    found = check(case, _CASES[case].patient)
    assert not found.is_healthy
    assert not found.symptom.startswith("it fails")
    assert found == check(case, _CASES[case].patient)


def words_apart(text: str) -> list[str]:
    return "".join(" " if sign in string.punctuation else sign for sign in text.lower()).split()


def stratified_with_twins(
    texts: list[str], labels: list[int], seed: int
) -> tuple[list[int], list[int]]:
    train, test = train_test_split(
        range(len(texts)), test_size=0.2, random_state=seed, stratify=labels
    )
    return train, test


def grouped_only(texts: list[str], labels: list[int], seed: int) -> tuple[list[int], list[int]]:
    splitter = GroupShuffleSplit(1, test_size=0.2, random_state=seed)
    train, test = next(splitter.split(texts, groups=texts))
    return train.tolist(), test.tolist()


def left_in_evaluation(model: nn.Module, inputs: Tensor) -> Tensor:
    return patients.answers(model.eval(), inputs)


def masked_before_softmax_without_scale(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    return (q @ k.T).masked_fill(~seen, -torch.inf).softmax(1) @ v


OTHER_BUGS: list[tuple[str, Callable[..., Any], str]] = [
    ("cleaning", words_apart, "，"),
    ("cleaning", lambda text: list(text.lower()), "the words of"),
    ("cleaning", lambda text: tokens(text) or [""], "without words"),
    ("argument", lambda frame: frame, "not the one asked for"),
    ("vocabulary", lambda documents: {"<pad>": 0, "<unk>": 1}, "not those of the documents"),
    (
        "vocabulary",
        lambda documents: {word: at for at, word in enumerate(documents[0])},
        "<pad> is not 0",
    ),
    (
        "vocabulary",
        lambda documents: vocabulary(documents) | {"cat": 2, "dog": 2},
        "not each number once",
    ),
    ("split", stratified_with_twins, "texts are in both parts"),
    ("split", grouped_only, "a class is missing"),
    ("split", lambda texts, labels, seed: split(texts, labels, 0), "give the same split"),
    ("split", lambda texts, labels, seed: ([0], [1]), "in neither part"),
    ("split", lambda texts, labels, seed: (list(range(95)), []), "0 of 95"),
    ("padding", lambda states, lengths: states[:, 0], "not the state after the last word"),
    ("padding", lambda states, lengths: states, "its shape is (3, 5, 4)"),
    ("mean", document_vector, "not the mean"),
    ("mean", lambda states, lengths: states.sum(1) / lengths[:, None], "moves by"),
    (
        "both ways",
        lambda forward, backward, lengths: torch.cat([forward[:, 0], backward[:, 0]], 1),
        "first half",
    ),
    ("softmax", lambda scores: np.exp(scores) / np.exp(scores).sum(), "add up to 1"),
    ("softmax", lambda scores: scores / scores.sum(1, keepdims=True), "not e times"),
    ("mean loss", lambda losses, sizes: sum(losses), "do not give 2"),
    ("step", lambda model, optimizer, inputs, labels: torch.tensor(0.0), "a Tensor"),
    ("step", lambda model, optimizer, inputs, labels: 0.0, "the loss of step 1"),
    ("answers", left_in_evaluation, "in training is so no more"),
    ("answers", lambda model, inputs: torch.zeros(50), "largest scores"),
    (
        "best epoch",
        lambda model, epochs: next(copy.deepcopy(model.state_dict()) for _ in epochs),
        "epoch 1",
    ),
    ("clip", lambda gradients, bound: [each.clamp(-bound, bound) for each in gradients], "1.41"),
    ("clip", lambda gradients, bound: [each / 25 for each in gradients], "only 0.20"),
    ("clip", lambda gradients, bound: [each.flip(0) / 5 for each in gradients], "another way"),
    ("clip", lambda gradients, bound: [each / 5 for each in gradients], "short enough changes"),
    ("dropout", lambda values, p, training: functional.dropout(values, p, True), "after training"),
    ("dropout", lambda values, p, training: values, "0.00 is zero"),
    ("attention", masked_before_softmax_without_scale, "√d"),
    ("attention", lambda q, k, v, seen: (q @ k.T).softmax(0) @ v, "add up to"),
    ("attention", lambda q, k, v, seen: attention(q, k, v, torch.ones_like(seen)), "may not see"),
]


@pytest.mark.parametrize(("case", "function", "symptom"), OTHER_BUGS)
def test_other_bugs_have_other_symptoms(
    case: str, function: Callable[..., Any], symptom: str
) -> None:
    assert symptom in check(case, function).symptom


@pytest.mark.parametrize("case", CURES)
@pytest.mark.parametrize("function", [lambda: None, lambda *arguments: None, lambda *a: 1 / 0])
def test_whatever_a_function_does_is_a_symptom(case: str, function: Callable[..., Any]) -> None:
    found = check(case, function)
    assert not found.is_healthy
    assert "\n" not in str(found)


def test_the_list_has_every_case_and_every_patient() -> None:
    table = cases()
    assert list(table.index) == list(CURES)
    assert [row.partition("(")[0] for row in table["function"]] == [
        case.patient.__name__ for case in _CASES.values()
    ]
    assert sorted(case.patient.__name__ for case in _CASES.values()) == patients.__all__


def test_it_can_be_asked_by_the_package() -> None:
    assert companion.check("clip", clip).is_healthy
    with pytest.raises(DataError, match="no case 'amnesia'; choose one of cleaning, argument"):
        check("amnesia", clip)
    with pytest.raises(DataError, match="give the function itself, not int"):
        check("clip", 3)  # type: ignore[arg-type]


def test_the_random_state_of_the_reader_is_left_alone() -> None:
    for case, cure in CURES.items():
        before = torch.get_rng_state()
        check(case, cure)
        assert torch.equal(before, torch.get_rng_state()), case
