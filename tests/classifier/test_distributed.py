"""Several processes train as one does, and outlive the death of one of them."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from companion.classifier.batches import Batch, pad
from companion.classifier.checkpoint import read_description
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.distributed import Ranks, is_first_process, process_count
from companion.classifier.state import STATE_FILE
from companion.classifier.training import train
from companion.errors import DataError
from tests.classifier import ranks
from tests.conftest import news

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def batch_of(lengths: list[int]) -> Batch:
    token_ids, counted = pad([[number + 2] * length for number, length in enumerate(lengths)])
    return Batch(token_ids, counted, torch.arange(len(lengths)) + 10)


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Ranks.join(CPU)
    batch, values = batch_of([3, 1]), torch.tensor([1.0, 2.0])
    model = torch.nn.Linear(1, 1)
    assert (process_count(), is_first_process(), alone.is_first) == (1, True, True)
    assert alone.share(batch) == (batch, 1.0)
    assert alone.total(values) is alone.mean(values) is values
    assert alone.wrap(model) is model
    alone.require_equal(5, "anywhere")


def test_a_single_process_keeps_its_random_state() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    Ranks(0, 1, CPU).seed_step(0, 0)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("count", ["two", "0", "-1", "1.5"])
def test_a_launcher_that_makes_no_sense(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", count)
    with pytest.raises(DataError, match="WORLD_SIZE"):
        process_count()


@pytest.mark.parametrize("documents", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_shares_of_the_ranks_make_up_the_batch(documents: int, count: int) -> None:
    batch = batch_of(list(range(1, documents + 1)))
    losses = torch.arange(1.0, documents + 1) ** 2
    taken, means = [], []
    for rank in range(count):
        own, factor = Ranks(rank, count, CPU).share(batch)
        assert len(own.rows) >= 1, "a rank without a step would be waited for"
        assert ((own.token_ids != 0).sum(dim=1) == own.lengths).all()
        assert (own.token_ids[:, 0] == own.rows - 10 + 2).all()
        taken += own.rows.tolist() if factor else []
        means.append(factor * losses[own.rows - 10].mean())
    assert sorted(taken) == batch.rows.tolist()
    torch.testing.assert_close(torch.stack(means).mean(), losses.mean())


def test_each_rank_drops_other_words_and_the_same_ones_again() -> None:
    def drawn(rank: int, step: int) -> float:
        Ranks(rank, 2, CPU).seed_step(7, step)
        return torch.rand(1).item()

    draws = {(rank, step): drawn(rank, step) for rank in (0, 1) for step in (0, 1, 2)}
    assert len(set(draws.values())) == 6
    assert all(drawn(*place) == value for place, value in draws.items())


@pytest.mark.slow
def test_two_processes_have_the_curve_of_one(
    splits: Splits, small: Configuration, tmp_path: Path
) -> None:
    """Without dropout, which each process draws for itself, only the order of the sums differs."""
    configuration = dataclasses.replace(
        small, dropout=0.0, word_dropout=0.0, batch_size=13, epochs=3, vectors="ppmi"
    )
    weights = np.random.default_rng(0).uniform(0.5, 2, len(splits.train))
    weighted = dataclasses.replace(splits, train=splits.train.assign(weight=weights))
    assert len(splits.train) % 13 == 1, "the last batch has fewer documents than there are ranks"
    alone = train(
        weighted.train, weighted.validation, configuration, device="cpu", progress=False
    ).history
    assert ranks.in_ranks(2, ranks.training, weighted, configuration, tmp_path) == [0, 0]
    first, second = (
        pd.read_json(tmp_path / f"history-{rank}.json", precise_float=True) for rank in (0, 1)
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    np.testing.assert_allclose(first.to_numpy(), alone.to_numpy(), rtol=2e-5)
    assert [path.name for path in (tmp_path / "state").glob("*.safetensors")] == [STATE_FILE]


@pytest.mark.slow
def test_a_training_outlives_the_death_of_a_rank(tmp_path: Path) -> None:
    """One of two processes is killed; torchrun starts both again; the weights are those of a
    training under Accelerate's launcher in which nobody died, to the last bit, with dropout."""
    table = tmp_path / "news.csv"
    news(80).to_csv(table, index=False)
    arguments = ["train", "--data", str(table), "--device", "cpu", "--epochs", "2"]
    killed = [*arguments, "--output", str(tmp_path / "killed"), "--checkpoint-every", "0"]
    processes = ["--nproc-per-node", "2", "--max-restarts", "1"]
    launcher = ["-m", "torch.distributed.run", "--standalone", *processes]
    outcome = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.classifier.ranks", *killed],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=ROOT,
        env=os.environ
        | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # pytorch issue 135712
        | {"PYTHONPATH": str(ROOT)},
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "resuming the training" in outcome.stderr
    assert outcome.stderr.count("174 training, ") == 2, "each attempt says once what it trains on"
    assert outcome.stdout.count("The classifier is in") == 1
    whole = [*arguments, "--output", str(tmp_path / "whole")]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    outcome = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.classifier.ranks", *whole, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_DEATH": "1"},
    )
    assert outcome.returncode == 0, outcome.stderr
    digests = {read_description(tmp_path / name)["weights_sha256"] for name in ("killed", "whole")}
    assert len(digests) == 1
    assert not (tmp_path / "killed" / STATE_FILE).exists()
