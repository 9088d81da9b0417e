"""Ridge regression against scikit-learn, and that no prediction sees its own answer."""

import pytest
import torch
from sklearn.linear_model import Ridge

from companion.errors import DataError
from companion.outlook.adaptation import (
    InContextRegression,
    draw_regressions,
    in_context_errors,
    optimizer_runs,
    ridge_predictions,
    train_in_context,
)


def test_ridge_is_that_of_scikit_learn() -> None:
    x, y = (each.double() for each in draw_regressions(1, 6))
    ours = ridge_predictions(x, y, 0.5)
    trusted = Ridge(alpha=0.5, fit_intercept=False).fit(x[0, :5].numpy(), y[0, :5].numpy())
    assert ours[0, 5].item() == pytest.approx(trusted.predict(x[0, 5:].numpy())[0], abs=1e-10)
    assert ours[0, 0] == 0
    with pytest.raises(DataError, match="positive"):
        ridge_predictions(x, y, 0)


def test_a_prediction_does_not_see_its_own_answer_or_later_ones() -> None:
    torch.manual_seed(0)
    model = InContextRegression().eval()
    x, y = draw_regressions(2, 5)
    changed = y.clone()
    changed[:, 3:] += 10
    before, after = model(x, y), model(x, changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_errors_have_a_row_for_each_number_of_examples() -> None:
    errors = in_context_errors(train_in_context(points=4, steps=2), points=4)
    assert errors.index.tolist() == [0, 1, 2, 3]
    assert (errors["ridge"] <= errors["always 0"] + 1e-9).all()


def test_both_optimisers_learn_the_digits() -> None:
    runs = optimizer_runs(rates=(0.01,), seeds=(0,), schedules=("constant",))
    assert runs["optimizer"].tolist() == ["SGD with momentum", "Adam"]
    assert runs["accuracy"].min() > 0.7
