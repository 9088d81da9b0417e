"""Levels and the agent, held against the rules and known values."""

import numpy as np
import pytest
import torch

from companion.applications.games import (
    MarkovLevels,
    NetworkLevels,
    carve_levels,
    frozen_lake,
    is_solvable,
    learn_by_trial,
    plan,
    random_policy,
    success,
    usable,
)
from companion.errors import DataError


def test_carved_levels_are_trees_with_one_start_and_one_goal() -> None:
    """A maze of 16 cells with one way between any two has 15 doors."""
    levels = carve_levels(50, 0)
    assert levels.shape == (50, 7, 7)
    assert all(is_solvable(level) for level in levels)
    assert ((levels != 0).sum(axis=(1, 2)) == 31).all()


def test_a_wall_or_a_second_goal_makes_a_level_unsolvable() -> None:
    level = np.ones((7, 7), dtype=np.int64)
    level[0, 0], level[6, 6] = 2, 3
    assert is_solvable(level)
    walled, twice = level.copy(), level.copy()
    walled[3] = 0
    twice[0, 6] = 3
    assert not is_solvable(walled)
    assert not is_solvable(twice)
    assert usable(np.stack([level, walled]), level[None]) == (0.5, 0.0)


def test_counting_one_level_gives_its_tiles() -> None:
    floor = np.ones((1, 7, 7), dtype=np.int64)
    assert (MarkovLevels(floor).sample(3, 0) == 1).all()


def test_the_network_sees_no_later_tile() -> None:
    network = NetworkLevels()
    first, places = torch.tensor(carve_levels(1, 0)).flatten(1), torch.tensor([20])
    other = first.clone()
    other[:, 20:] = 0
    before = first.clone()
    before[:, 19] = 3 - before[:, 19]
    assert torch.equal(network(first, places), network(other, places))
    assert not torch.equal(network(first, places), network(before, places))


def test_the_network_learns_one_level_by_heart() -> None:
    level = carve_levels(1, 0)
    network = NetworkLevels.fit(level, steps=400)
    assert usable(network.sample(20, 0), level) == (1.0, 0.0)


def test_success_agrees_with_playing() -> None:
    lake, generator = frozen_lake(), np.random.default_rng(0)
    wins = 0.0
    lake.reset(seed=0)
    for _ in range(3000):
        (_, _), done, reward = lake.reset(), False, 0.0
        while not done:
            _, reward, ended, cut, _ = lake.step(int(generator.integers(4)))
            done = ended or cut
        wins += reward
    assert success(lake, random_policy(lake)) == pytest.approx(wins / 3000, abs=0.01)
    with pytest.raises(DataError, match="3 states"):
        success(lake, np.zeros(3, dtype=int))


def test_no_changed_action_beats_the_plan() -> None:
    lake = frozen_lake()
    policy = plan(lake)
    best = success(lake, policy, steps=2000)
    assert best == pytest.approx(14 / 17, abs=1e-3)
    for state in range(16):
        for action in range(4):
            changed = policy.copy()
            changed[state] = action
            assert success(lake, changed, steps=2000) <= best + 1e-9


def test_trying_beats_chance() -> None:
    lake = frozen_lake()
    values = learn_by_trial(lake, episodes=2000)
    assert success(lake, values.argmax(axis=1)) > 5 * success(lake, random_policy(lake))
