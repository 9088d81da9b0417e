"""Sweeps: a row a run, and a choice that is known to matter shows."""

from companion.training.sweeps import (
    OPTIMIZERS,
    sweep_batch_sizes,
    sweep_initialisation,
    sweep_optimizers,
    sweep_schedules,
    sweep_stopping,
)


def test_a_deep_network_learns_from_he_and_not_from_a_small_start() -> None:
    table = sweep_initialisation(["He", "N(0, 0.02)"], epochs=3, seeds=1).set_index("start")
    assert table.loc["He", "accuracy"] > table.loc["N(0, 0.02)", "accuracy"] + 0.1


def test_every_optimizer_runs_at_every_rate() -> None:
    table = sweep_optimizers((0.001, 0.1), epochs=2, seeds=1)
    assert len(table) == 2 * len(OPTIMIZERS)
    descent = table[table["optimiser"] == "gradient descent"].set_index("learning rate")["loss"]
    assert descent[0.1] < descent[0.001]


def test_every_schedule_runs() -> None:
    table = sweep_schedules((0.1,), epochs=2, seeds=1)
    assert table["schedule"].nunique() == len(table) == 3
    assert (table["loss"] > 0).all()


def test_small_batches_take_more_steps_in_the_same_epochs() -> None:
    table = sweep_batch_sizes((8, 512), (0.03,), epochs=2, seeds=1).set_index("batch size")
    assert table.loc[8, "loss"] < table.loc[512, "loss"]


def test_early_stopping_stops_early() -> None:
    table = sweep_stopping(epochs=40, patience=2, seeds=1)
    assert 0 < table["best epoch"][0] < table["epochs"][0] < 40
