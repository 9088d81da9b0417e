"""The training loop: what it sees, what it repeats, when it ends."""

import math

import pytest
import torch

from companion.errors import DataError
from companion.training.loop import DigitSplits, digit_classifier, digit_splits, fit, score
from companion.training.schedules import EarlyStopping, constant, linear_decay, warmup_cosine

SPLITS = digit_splits(100)


def sgd(model: torch.nn.Module, rate: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), rate)


def rows(part: tuple[torch.Tensor, torch.Tensor]) -> list[bytes]:
    return [row.numpy().tobytes() for row in part[0]]


def test_the_parts_share_no_example_and_have_every_class() -> None:
    splits = digit_splits()
    assert [len(part[1]) for part in (splits.train, splits.validation, splits.test)] == [
        997,
        400,
        400,
    ]
    every = rows(splits.train) + rows(splits.validation) + rows(splits.test)
    assert len(set(every)) == len(every)
    for part in (splits.train, splits.validation, splits.test, SPLITS.train):
        assert torch.bincount(part[1]).min() * 10 > 0.8 * len(part[1])
    assert len(SPLITS.train[1]) == 100
    assert set(rows(SPLITS.train)) <= set(rows(splits.train))
    assert splits.train[0].min() == 0
    assert splits.train[0].max() == 1


def test_one_epoch_is_the_same_as_by_hand() -> None:
    model, twin = digit_classifier(8), digit_classifier(8)
    fit(model, SPLITS, sgd(model), epochs=1, batch_size=40, seed=5)
    optimizer = sgd(twin)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(5))
    for start in (0, 40, 80):
        batch = order[start : start + 40]
        optimizer.zero_grad()
        logits = twin(SPLITS.train[0][batch])
        probabilities = logits.softmax(1)[torch.arange(len(batch)), SPLITS.train[1][batch]]
        (-probabilities.log().mean()).backward()
        optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_seed_fixes_the_run() -> None:
    histories = []
    for seed in (0, 0, 1):
        model = digit_classifier(8)
        histories.append(fit(model, SPLITS, sgd(model), epochs=2, seed=seed))
    assert histories[0].equals(histories[1])
    assert not histories[0].equals(histories[2])
    assert list(histories[0].index) == [1, 2]


def test_the_test_part_is_not_looked_at() -> None:
    blind = DigitSplits(SPLITS.train, SPLITS.validation, (torch.empty(0), torch.empty(0)))
    model = digit_classifier(8)
    assert len(fit(model, blind, sgd(model), epochs=1)) == 1


def test_the_schedule_sets_each_step() -> None:
    seen = []

    def note(progress: float) -> float:
        seen.append(progress)
        return linear_decay(progress)

    model = digit_classifier(8)
    optimizer = sgd(model, 0.5)
    fit(model, SPLITS, optimizer, epochs=2, batch_size=50, schedule=note)
    assert seen == [0, 0.25, 0.5, 0.75]
    assert optimizer.param_groups[0]["lr"] == 0.5 * 0.25


def test_score_counts() -> None:
    model = torch.nn.Linear(2, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    inputs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    loss, accuracy = score(model, (inputs, torch.tensor([0, 1, 1, 0])))
    near = math.log(1 + math.exp(-1))
    assert loss == pytest.approx((near + near + near + 1 + math.log(1 + math.exp(-3))) / 4)
    assert accuracy == 0.75


def test_early_stopping_ends_and_goes_back() -> None:
    model = torch.nn.Linear(1, 1)
    stopping = EarlyStopping(patience=2)
    ends = []
    for epoch, loss in enumerate([3.0, 1.0, math.nan, 1.0], 1):
        torch.nn.init.constant_(model.weight, epoch)
        ends.append(stopping.update(loss, model))
    assert ends == [False, False, False, True]
    assert (stopping.best, stopping.best_epoch) == (1.0, 2)
    stopping.restore(model)
    assert model.weight.item() == 2


def test_early_stopping_within_a_run() -> None:
    model = digit_classifier(64)
    stopping = EarlyStopping(patience=3)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    history = fit(model, SPLITS, optimizer, epochs=200, stopping=stopping)
    assert len(history) == stopping.best_epoch + 3 < 200
    assert score(model, SPLITS.validation)[0] == pytest.approx(history["validation_loss"].min())


def test_no_finite_loss_is_refused() -> None:
    stopping = EarlyStopping(patience=1)
    model = torch.nn.Linear(1, 1)
    assert stopping.update(math.nan, model)
    with pytest.raises(DataError, match="learning rate"):
        stopping.restore(model)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (constant, 0.7, 1),
        (linear_decay, 0.25, 0.75),
        (warmup_cosine, 0, 0),
        (warmup_cosine, 0.05, 0.5),
        (warmup_cosine, 0.1, 1),
        (warmup_cosine, 0.55, 0.5),
        (warmup_cosine, 1, 0),
    ],
)
def test_the_schedules(schedule, progress: float, expected: float) -> None:  # type: ignore[no-untyped-def]
    assert schedule(progress) == pytest.approx(expected, abs=1e-12)


def test_the_cosine_is_that_of_torch() -> None:
    optimizer = sgd(torch.nn.Linear(1, 1), 1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 90)
    for step in range(10, 100):
        assert warmup_cosine(step / 100) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        scheduler.step()
