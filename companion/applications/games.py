"""Games: mazes by a rule, by counting and by a network; an agent on a frozen lake.

Explained in :doc:`/applications/fields`.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.ndimage import label
from torch import Tensor, nn

from companion.errors import DataError

__all__ = [
    "SIDE",
    "TILES",
    "MarkovLevels",
    "NetworkLevels",
    "agent_study",
    "carve_levels",
    "frozen_lake",
    "is_solvable",
    "learn_by_trial",
    "level_study",
    "plan",
    "random_policy",
    "success",
    "usable",
]

SIDE = 7
TILES = "#.SG"  # wall, floor, start, goal
WALL, FLOOR, START, GOAL = range(4)
Level = NDArray[np.int64]


def carve_levels(count: int, seed: int) -> Level:
    """Make mazes by a rule: walk from cell to cell, carve where nobody was, go back at dead ends.

    Args:
        count: How many.
        seed: Fixes them.

    Returns:
        ``(count, 7, 7)`` indices into :data:`TILES`. There is one way between any two cells.
    """
    generator = np.random.default_rng(seed)
    return np.stack([_carve(generator) for _ in range(count)])


def _carve(generator: np.random.Generator) -> Level:
    """Make one maze."""
    level = np.full((SIDE, SIDE), WALL, dtype=np.int64)
    path = [(0, 0)]
    level[0, 0] = FLOOR
    while path:
        row, column = path[-1]
        ways = [
            (row + down, column + right)
            for down, right in ((0, 2), (2, 0), (0, -2), (-2, 0))
            if 0 <= row + down < SIDE
            and 0 <= column + right < SIDE
            and level[row + down, column + right] == WALL
        ]
        if not ways:
            path.pop()
            continue
        new = ways[int(generator.integers(len(ways)))]
        level[(row + new[0]) // 2, (column + new[1]) // 2] = level[new] = FLOOR
        path.append(new)
    cells = generator.choice(16, size=2, replace=False)
    for cell, tile in zip(cells, (START, GOAL), strict=True):
        level[2 * (cell // 4), 2 * (cell % 4)] = tile
    return level


def is_solvable(level: Level) -> bool:
    """Whether there is one start, one goal, and a way between them."""
    if (level == START).sum() != 1 or (level == GOAL).sum() != 1:
        return False
    regions, _ = label(level != WALL)
    return bool(regions[level == START][0] == regions[level == GOAL][0])


def usable(levels: Level, known: Level) -> tuple[float, float]:
    """Give the share of the levels that are solvable, and the share of these that are new.

    Args:
        levels: ``(count, 7, 7)`` levels.
        known: Those that the generator learned from.
    """
    seen = {each.tobytes() for each in known}
    solvable = [each for each in levels if is_solvable(each)]
    new = [each for each in solvable if each.tobytes() not in seen]
    return len(solvable) / len(levels), len(new) / max(1, len(solvable))


class MarkovLevels:
    """Counts which tile follows the four that are known next to it: left, and three above.

    Args:
        levels: ``(count, 7, 7)`` levels to count in.
    """

    def __init__(self, levels: Level) -> None:
        counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for level in _framed(levels):
            for row in range(1, SIDE + 1):
                for column in range(1, SIDE + 1):
                    counts[_beside(level, row, column)][int(level[row, column])] += 1
        self.counts = counts
        self.everywhere = np.bincount(levels.ravel(), minlength=4) / levels.size

    def sample(self, count: int, seed: int) -> Level:
        """Draw ``(count, 7, 7)`` levels, tile by tile."""
        generator = np.random.default_rng(seed)
        framed = _framed(np.full((count, SIDE, SIDE), WALL, dtype=np.int64))
        for level in framed:
            for row in range(1, SIDE + 1):
                for column in range(1, SIDE + 1):
                    level[row, column] = generator.choice(4, p=self._next(level, row, column))
        return np.asarray(framed[:, 1:-1, 1:-1])

    def _next(self, level: Level, row: int, column: int) -> NDArray[np.float64]:
        """Give the probabilities of the four tiles at one place."""
        seen = self.counts.get(_beside(level, row, column))
        if seen is None:
            return self.everywhere
        numbers = np.array([seen[tile] for tile in range(4)], dtype=float)
        return np.asarray(numbers / numbers.sum())


def _framed(levels: Level) -> Level:
    """Put a frame of tile -1 around each level."""
    return np.pad(levels, ((0, 0), (1, 1), (1, 1)), constant_values=-1)


def _beside(level: Level, row: int, column: int) -> tuple[int, ...]:
    """Give the tiles left of a place and in the three places above it."""
    above = level[row - 1, column - 1 : column + 2]
    return (int(level[row, column - 1]), *(int(tile) for tile in above))


class NetworkLevels(nn.Module):
    """Predicts each tile from all tiles before it, row by row, and from its place.

    Args:
        width: Hidden units.
    """

    def __init__(self, width: int = 192) -> None:
        super().__init__()
        places = SIDE * SIDE
        self.layers = nn.Sequential(
            nn.Linear(places * 4 + places, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 4),
        )

    def forward(self, levels: Tensor, places: Tensor) -> Tensor:
        """Give ``(batch, 4)`` scores of the tile at each place; later tiles are hidden.

        Args:
            levels: ``(batch, 49)`` tiles.
            places: ``(batch,)`` the place to predict, 0 to 48.
        """
        known = torch.arange(SIDE * SIDE) < places[:, None]
        before = nn.functional.one_hot(levels, 4) * known[..., None]
        here = nn.functional.one_hot(places, SIDE * SIDE)
        scores: Tensor = self.layers(torch.cat([before.flatten(1), here], dim=1).float())
        return scores

    @classmethod
    def fit(cls, levels: Level, *, steps: int = 2500, seed: int = 0) -> "NetworkLevels":
        """Train on levels.

        Args:
            levels: ``(count, 7, 7)``.
            steps: Steps of 256 places each.
            seed: Fixes the weights and the draws.
        """
        torch.manual_seed(seed)
        network, tiles = cls(), torch.tensor(levels).flatten(1)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = torch.randint(len(tiles), (256,))
            places = torch.randint(SIDE * SIDE, (256,))
            loss = nn.functional.cross_entropy(network(tiles[rows], places), tiles[rows, places])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        return network

    def sample(self, count: int, seed: int) -> Level:
        """Draw ``(count, 7, 7)`` levels, tile by tile."""
        generator = torch.Generator().manual_seed(seed)
        tiles = torch.zeros(count, SIDE * SIDE, dtype=torch.long)
        with torch.inference_mode():
            for place in range(SIDE * SIDE):
                chances = self(tiles, torch.full((count,), place)).softmax(dim=1)
                tiles[:, place] = torch.multinomial(chances, 1, generator=generator)[:, 0]
        return np.asarray(tiles.numpy().reshape(count, SIDE, SIDE))


def frozen_lake() -> Any:
    """Make the frozen lake of gymnasium: 16 fields, four of them holes, and ice that slips."""
    return gymnasium.make("FrozenLake-v1", is_slippery=True, disable_env_checker=True)


def _model(environment: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give ``(states, actions, states)`` probabilities of going on, and expected rewards."""
    rules = environment.unwrapped.P
    moves = np.zeros((len(rules), len(rules[0]), len(rules)))
    rewards = np.zeros(moves.shape[:2])
    for state, actions in rules.items():
        for action, outcomes in actions.items():
            for chance, new, reward, ended in outcomes:
                rewards[state, action] += chance * reward
                moves[state, action, new] += 0.0 if ended else chance
    return moves, rewards


def plan(environment: Any, *, discount: float = 0.99) -> NDArray[np.int64]:
    """Find the best action in each state by value iteration, from the rules of the game."""
    moves, rewards = _model(environment)
    values = np.zeros(len(rewards))
    while True:
        gains = rewards + discount * moves @ values
        change = np.abs(gains.max(axis=1) - values).max()
        values = gains.max(axis=1)
        if change < 1e-10:
            return np.asarray(gains.argmax(axis=1))


def success(environment: Any, policy: NDArray[Any], *, steps: int = 100) -> float:
    """Give the probability of reaching the goal within some steps, exactly.

    Args:
        environment: Such as :func:`frozen_lake`.
        policy: ``(states,)`` actions, or ``(states, actions)`` probabilities.
        steps: The most that an episode may take.

    Raises:
        DataError: If the policy has another number of states.
    """
    moves, rewards = _model(environment)
    if len(policy) != len(rewards):
        raise DataError(f"a policy for {len(policy)} states; the game has {len(rewards)}")
    chances = np.eye(rewards.shape[1])[policy] if policy.ndim == 1 else policy
    where, won = np.eye(len(rewards))[0], 0.0
    for _ in range(steps):
        won += float(where @ (chances * rewards).sum(axis=1))
        where = where @ np.einsum("sa,san->sn", chances, moves)
    return won


def learn_by_trial(
    environment: Any, *, episodes: int = 2000, discount: float = 0.99, seed: int = 0
) -> NDArray[np.float64]:
    """Learn the worth of each action by playing: tabular Q-learning.

    Args:
        environment: Such as :func:`frozen_lake`.
        episodes: Games played. The share of random moves falls from 1 to 0.05 over them, and the
            learning rate from 0.5 to 0.02.
        discount: What a reward one step later is worth.
        seed: Fixes the ice and the random moves.

    Returns:
        ``(states, actions)`` values.
    """
    generator = np.random.default_rng(seed)
    values = np.zeros((environment.observation_space.n, environment.action_space.n))
    state, _ = environment.reset(seed=seed)
    for episode in range(episodes):
        left = 1 - episode / episodes
        rate, exploring = max(0.02, 0.5 * left**2), max(0.05, left)
        done = False
        while not done:
            best = np.flatnonzero(values[state] == values[state].max())
            action = int(
                generator.choice(values.shape[1] if generator.random() < exploring else best)
            )
            new, reward, ended, cut, _ = environment.step(action)
            target = reward + (0.0 if ended else discount * values[new].max())
            values[state, action] += rate * (target - values[state, action])
            state, done = new, ended or cut
        state, _ = environment.reset()
    return values


def random_policy(environment: Any) -> NDArray[np.float64]:
    """Give the policy that takes each action with the same probability."""
    shape = (environment.observation_space.n, environment.action_space.n)
    return np.full(shape, 1 / shape[1])


def level_study(known: Level, seeds: Iterable[int] = range(3), *, count: int = 300) -> pd.DataFrame:
    """Let three generators make levels: a row each and seed.

    Args:
        known: Levels to learn from.
        seeds: One for each training and drawing.
        count: Levels drawn.

    Returns:
        Columns ``solvable``, ``new`` (of the solvable) and ``seconds`` of training; the index is
        ``generator`` and ``seed``.
    """
    rows = []
    for seed in seeds:
        rows.append(("rule", seed, *usable(carve_levels(count, 1000 + seed), known), 0.0))
        for name, make in {
            "counting": lambda: MarkovLevels(known),
            "network": lambda seed=seed: NetworkLevels.fit(known, seed=seed),
        }.items():
            start = time.process_time()
            generator: MarkovLevels | NetworkLevels = make()  # type: ignore[operator]
            seconds = time.process_time() - start
            rows.append((name, seed, *usable(generator.sample(count, seed), known), seconds))
    columns = ["generator", "seed", "solvable", "new", "seconds"]
    return pd.DataFrame(rows, columns=columns).set_index(["generator", "seed"])


def agent_study(
    episodes: Iterable[int] = (300, 1000, 2000), seeds: Iterable[int] = range(5)
) -> pd.DataFrame:
    """Give the success after so many games: a row a seed, a column a number of games."""
    lake = frozen_lake()
    return pd.DataFrame(
        {
            games: [
                success(lake, learn_by_trial(lake, episodes=games, seed=seed).argmax(axis=1))
                for seed in seeds
            ]
            for games in episodes
        }
    )
