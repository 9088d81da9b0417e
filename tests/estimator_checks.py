"""Scikit-learn's own checks for a classifier of texts.

``parametrize_with_checks`` yields nothing for an estimator whose tags say that it takes strings and
no table: all its checks make matrices of numbers. :func:`over_numbers` puts a translator before
such an estimator: it turns each row of numbers into a text, a word for each column and range of
values. The rest is the estimator's own, so the checks see its parameters, labels, weights,
attributes and errors.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

BINS = 16


def over_numbers(estimator_class: type[Any]) -> type[Any]:
    """Make a subclass of a classifier of texts that takes a matrix of numbers instead."""

    class OverNumbers(estimator_class):  # type: ignore[misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            if y is None:
                super().fit(["one", "two"], y)
            X, y = validate_data(self, X, y)
            self.edges_ = np.quantile(X, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)
            return super().fit(self._texts(X), y, sample_weight)

        def predict(self, X: Any) -> Any:
            return super().predict(self._checked(X))

        def predict_proba(self, X: Any) -> Any:
            # The parent's predict comes here with texts.
            return super().predict_proba(X if isinstance(X, list) else self._checked(X))

        def _checked(self, X: Any) -> list[str]:
            check_is_fitted(self)
            return self._texts(validate_data(self, X, reset=False))

        def _texts(self, X: NDArray[Any]) -> list[str]:
            """Write every number as the word of its column and bin, coarse and fine."""
            bins = np.stack(
                [np.searchsorted(self.edges_[:, j], X[:, j]) for j in range(X.shape[1])], axis=1
            )
            return [" ".join(f"c{j}b{b} c{j}q{b // 4}" for j, b in enumerate(row)) for row in bins]

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()
            tags.input_tags.string = False
            tags.input_tags.one_d_array = False
            tags.input_tags.two_d_array = True
            return tags

    OverNumbers.__name__ = OverNumbers.__qualname__ = f"{estimator_class.__name__}OverNumbers"
    # Pickle finds a class by its module and name.
    OverNumbers.__module__ = __name__
    globals()[OverNumbers.__name__] = OverNumbers
    return OverNumbers
