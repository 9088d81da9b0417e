"""Try a function and name the symptom of its bug, if it has one."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from companion.clinic import patients, probes
from companion.errors import DataError

__all__ = ["Diagnosis", "cases", "check"]

Probe = Callable[[Callable[..., Any]], str | None]


@dataclass(frozen=True)
class Diagnosis:
    """What the checker found.

    Attributes:
        case: The name of the case.
        symptom: What the function does wrong, or nothing.
    """

    case: str
    symptom: str

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.symptom

    def __str__(self) -> str:
        return f"{self.case}: {self.symptom or 'healthy'}"


@dataclass(frozen=True)
class _Case:
    patient: Callable[..., Any]
    probe: Probe
    bugs: str  # the ids of the code audit, where it is a bug of the listing
    page: str


_CASES = {
    "cleaning": _Case(patients.tokens, probes.tokens, "S2, S15", "project/data"),
    "argument": _Case(patients.prepare, probes.prepare, "S4", "project/listing"),
    "vocabulary": _Case(patients.vocabulary, probes.vocabulary, "S6", "project/data"),
    "split": _Case(patients.split, probes.split, "S13, S14", "project/data"),
    "padding": _Case(patients.document_vector, probes.document_vector, "S7", "project/model"),
    "mean": _Case(patients.mean_vector, probes.mean_vector, "", "project/model"),
    "both ways": _Case(patients.ends, probes.ends, "S19", "project/model"),
    "softmax": _Case(patients.softmax, probes.softmax, "", "mathematics/losses"),
    "mean loss": _Case(patients.mean_loss, probes.mean_loss, "", "project/training"),
    "step": _Case(patients.step, probes.step, "", "training/update"),
    "answers": _Case(patients.answers, probes.answers, "S17", "project/evaluation"),
    "best epoch": _Case(patients.best_weights, probes.best_weights, "S11", "project/training"),
    "clip": _Case(patients.clip, probes.clip, "S20", "project/training"),
    "dropout": _Case(patients.dropout, probes.dropout, "S18", "project/model"),
    "attention": _Case(patients.attention, probes.attention, "", "mathematics/attention"),
}


def cases() -> pd.DataFrame:
    """List the cases: the function's signature, its task, the bugs' ids, the page that explains it.

    Returns:
        A row a case, under its name.
    """
    rows = {
        name: {
            "function": f"{case.patient.__name__}({', '.join(_arguments(case.patient))})",
            "task": (inspect.getdoc(case.patient) or "").splitlines()[0],
            "bug of the listing": case.bugs,
            "page": case.page,
        }
        for name, case in _CASES.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("case")


def check(case: str, function: Callable[..., Any]) -> Diagnosis:
    """Try a function on what its case calls for, and name the first symptom.

    Args:
        case: A name of :func:`cases`.
        function: The function to try. It is called with the arguments that :func:`cases` lists.

    Returns:
        The symptom, or that it is healthy. A function that raises an error has that as its symptom.

    Raises:
        DataError: If there is no such case, or nothing that can be called.

    >>> from companion import check
    >>> print(check("mean loss", lambda losses, sizes: sum(losses) / len(losses)))
    mean loss: a last batch of one document weighs as much as a full one
    """
    if case not in _CASES:
        raise DataError(f"there is no case {case!r}; choose one of {', '.join(_CASES)}")
    if not callable(function):
        raise DataError(f"{case}: give the function itself, not {type(function).__name__}")
    try:
        with torch.random.fork_rng(devices=[]):
            symptom = _CASES[case].probe(function)
    except Exception as error:  # whatever a reader's function does is an answer, not our failure
        symptom = f"it fails: {type(error).__name__}: {error}"
    return Diagnosis(case, symptom or "")


def _arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)
