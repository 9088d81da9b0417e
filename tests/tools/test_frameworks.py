"""Three frameworks, one gradient."""

import numpy as np
import pytest

from companion.errors import DataError, MissingPackageError
from companion.tools.frameworks import keras_logits, numpy_gradient, torch_gradient
from companion.tools.paging import reserved_tokens

generator = np.random.default_rng(0)
WEIGHTS, INPUTS = generator.normal(size=(6, 3)), generator.normal(size=(10, 6))
LABELS = generator.integers(0, 3, size=10)


def loss(weights: np.ndarray) -> float:
    logits = INPUTS @ weights
    shifted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-shifted[np.arange(10), LABELS].mean())


def test_numpy_and_torch_agree_and_so_do_differences() -> None:
    by_hand = numpy_gradient(WEIGHTS, INPUTS, LABELS)
    np.testing.assert_allclose(torch_gradient(WEIGHTS, INPUTS, LABELS), by_hand, atol=1e-12)
    step = np.zeros_like(WEIGHTS)
    step[2, 1] = 1e-6
    difference = (loss(WEIGHTS + step) - loss(WEIGHTS - step)) / 2e-6
    assert by_hand[2, 1] == pytest.approx(difference, rel=1e-6)


@pytest.mark.slow
def test_keras_gives_the_same_logits() -> None:
    logits = keras_logits(WEIGHTS, INPUTS, "torch")
    # Keras multiplies in single precision, whatever it is given.
    np.testing.assert_allclose(logits, INPUTS @ WEIGHTS, atol=2e-6)


def test_a_backend_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no backend"):
        keras_logits(WEIGHTS, INPUTS, "abacus")
    monkeypatch.setattr("companion.tools.frameworks._KERAS", "import no_such_module_at_all")
    with pytest.raises(MissingPackageError, match="pip install keras torch"):
        keras_logits(WEIGHTS, INPUTS, "torch")


def test_pages_by_hand() -> None:
    assert reserved_tokens([1, 16, 17], longest=100) == 300
    assert reserved_tokens([1, 16, 17], longest=100, page=16) == 16 + 16 + 32
    assert reserved_tokens([], longest=100, page=16) == 0
    for wrong in ({"longest": 16}, {"longest": 100, "page": 0}):
        with pytest.raises(DataError):
            reserved_tokens([17], **wrong)
    with pytest.raises(DataError):
        reserved_tokens([0], longest=4)
