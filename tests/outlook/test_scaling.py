"""The law of the loss, and runs of one budget."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from companion.errors import DataError
from companion.outlook.scaling import CHINCHILLA, equal_compute_runs


def test_the_best_split_is_the_one_a_search_finds() -> None:
    flop = 1e21
    found = minimize_scalar(
        lambda log: CHINCHILLA.loss(np.exp(log), flop / 6 / np.exp(log)), bounds=(15, 30)
    )
    parameters, tokens = CHINCHILLA.best_split(flop)
    assert parameters == pytest.approx(np.exp(found.x), rel=1e-3)
    assert 6 * parameters * tokens == pytest.approx(flop)


def test_no_budget_is_refused() -> None:
    with pytest.raises(DataError, match="positive"):
        CHINCHILLA.best_split(0)


def test_every_run_spends_the_same() -> None:
    ids = np.random.default_rng(0).integers(0, 27, size=500)
    runs = equal_compute_runs(ids, ids, widths=(8, 16), seeds=(0,), flop=1e9)
    assert (6 * runs["parameters"] * runs["characters"]).tolist() == pytest.approx(
        [1e9] * 2, rel=0.05
    )
    with pytest.raises(DataError, match="no batch"):
        equal_compute_runs(ids, ids, widths=(64,), flop=1e6)
