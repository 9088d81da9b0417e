"""Recommenders against closed forms, and a split that does not look ahead."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from companion.applications.recommendation import (
    ImplicitFactors,
    MovieLens,
    RatingFactors,
    TwoTowers,
    cold_start,
    item_item_scores,
    item_similarity,
    likes,
    load_movielens,
    popularity_scores,
    rank_metrics,
    rare_items,
    root_mean_square_error,
    split_by_time,
)

# The first users: enough to tell the recommenders apart, and trained on in a fraction of the time.
_USERS = 250

LIKED = sparse.csr_array(
    np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 0]], dtype=np.float32)
)


@pytest.fixture(scope="module")
def some() -> MovieLens:
    data = load_movielens()
    return dataclasses.replace(data, ratings=data.ratings[data.ratings["user"] < _USERS])


def test_the_ratings_are_the_hundred_thousand_of_the_book() -> None:
    data = load_movielens()
    assert len(data.ratings) == 100_000
    assert data.shape == (943, 1682)
    assert data.films.loc[0, "title"] == "Toy Story"
    assert data.films.loc[0, "Animation"]
    assert data.genres.shape == (1682, 19)
    assert sorted(data.ratings["rating"].unique()) == [1, 2, 3, 4, 5]


def test_the_split_keeps_the_last_ratings_of_each_user() -> None:
    training, test = split_by_time(load_movielens().ratings)
    assert len(training) + len(test) == 100_000
    last = training.groupby("user")["time"].max()
    first = test.groupby("user")["time"].min()
    assert (last[first.index] <= first).all()
    share = test.groupby("user").size() / 100_000 * 943
    assert set(test["user"]) == set(range(943))
    assert share.sum() == pytest.approx(0.2 * 943, rel=0.01)


def test_likes_are_ratings_of_four_and_more() -> None:
    ratings = pd.DataFrame({"user": [0, 0, 1], "item": [0, 2, 1], "rating": [4, 3, 5]})
    assert likes(ratings, (2, 3)).toarray().tolist() == [[1, 0, 0], [0, 1, 0]]
    assert likes(ratings, (2, 3), minimum=0).toarray().tolist() == [[1, 0, 1], [0, 1, 0]]


def test_popularity_is_the_number_of_likes_for_everybody() -> None:
    assert popularity_scores(LIKED, 2).tolist() == [[2, 2, 2, 2], [2, 2, 2, 2]]


def test_the_similarity_is_the_damped_cosine() -> None:
    plain = item_similarity(LIKED, damping=0)
    assert plain[0, 1] == pytest.approx(1)
    assert plain[0, 2] == 0
    assert plain[2, 3] == pytest.approx(1 / 2)
    assert np.diag(plain).tolist() == [0, 0, 0, 0]
    assert item_similarity(LIKED, damping=2)[0, 1] == pytest.approx(2 / (2 + 2))
    scores = item_item_scores(LIKED, plain)
    assert scores[1].tolist() == pytest.approx((plain[0] + plain[1] + plain[3]).tolist())


def test_a_film_that_nobody_liked_has_no_similarity() -> None:
    liked = sparse.csr_array(np.array([[1, 0], [1, 0]], dtype=np.float32))
    assert not item_similarity(liked, damping=0).any()


def test_the_implicit_factors_minimise_their_loss() -> None:
    """Each side solves its normal equations: the gradient of the weighted loss is zero."""
    model = ImplicitFactors(factors=3, confidence=4, regularisation=0.5, sweeps=3).fit(LIKED)
    users = torch.tensor(model.fold_in(LIKED), requires_grad=True)
    items, liked = torch.tensor(model.items), torch.tensor(LIKED.toarray().astype(np.float64))
    weight = 1 + 4 * liked
    loss = (weight * (liked - users @ items.T) ** 2).sum() + 0.5 * users.square().sum()
    (gradient,) = torch.autograd.grad(loss, users)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-10, rtol=0)


def test_a_new_user_needs_no_training() -> None:
    model = ImplicitFactors(factors=2, regularisation=0.1).fit(LIKED)
    copy = sparse.csr_array(LIKED.toarray()[:1])
    np.testing.assert_allclose(model.scores(copy)[0], model.scores(LIKED)[0])


def test_biases_alone_predict_the_mean_of_a_block() -> None:
    """Every user rates every item, so the best biases are the differences of the means."""
    ratings = pd.DataFrame(
        [(user, item, 3 + user - item) for user in range(2) for item in range(3)],
        columns=["user", "item", "rating"],
    ).astype({"rating": float})
    many = pd.concat([ratings] * 200)
    model = RatingFactors.fit(many, (2, 3), factors=0, penalty=0.0, epochs=300)
    assert root_mean_square_error(model, ratings) < 0.05


def test_a_rating_is_the_mean_the_biases_and_the_product() -> None:
    model = RatingFactors((2, 2), mean=3.0, factors=2)
    with torch.no_grad():
        model.biases[0].weight[1] = 0.5
        model.biases[1].weight[0] = -1.0
        model.factors[0].weight[1] = torch.tensor([1.0, 2.0])
        model.factors[1].weight[0] = torch.tensor([3.0, -1.0])
    assert model(torch.tensor([1]), torch.tensor([0])).item() == pytest.approx(3.5)
    assert model.mean_square(torch.tensor([1]), torch.tensor([0])).item() == pytest.approx(16.25)


def test_the_towers_find_what_goes_together() -> None:
    generator = np.random.default_rng(0)
    sides = generator.integers(2, size=80)
    taste = (np.arange(40) % 2 == sides[:, None]) * 0.5
    liked = sparse.csr_array((generator.random((80, 40)) < taste).astype(np.float32))
    model = TwoTowers.fit(liked, np.ones((40, 1), dtype=np.float32), epochs=30)
    scores = model.scores(liked)
    assert np.mean((scores[:, ::2].mean(axis=1) < scores[:, 1::2].mean(axis=1)) == sides) > 0.95
    again = TwoTowers.fit(liked, np.ones((40, 1), dtype=np.float32), epochs=30).scores(liked)
    np.testing.assert_array_equal(scores, again)


def test_ranks_are_measured_as_counted_by_hand() -> None:
    """User 0 wants items 1 and 3; item 0 is known. The list of two is 1, 2."""
    scores = np.array([[9.0, 5.0, 4.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    seen = sparse.csr_array(np.array([[1, 0, 0, 0], [0, 0, 0, 0]]))
    wanted = sparse.csr_array(np.array([[0, 1, 0, 1], [0, 0, 0, 0]]))
    measured = rank_metrics(scores, seen, wanted, k=2)
    assert measured["recall"] == pytest.approx(1 / 2)
    assert measured["ndcg"] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert measured["coverage"] == pytest.approx(2 / 4)


def test_cold_start_asks_users_that_were_never_trained_on(some: MovieLens) -> None:
    table = cold_start(some, known=(1, 20))
    assert table.index.tolist() == [1, 20]
    assert table.loc[1, "popularity"] == table.loc[20, "popularity"]
    assert table.loc[20, "item-item"] > table.loc[1, "item-item"]


def test_popularity_never_finds_the_rare(some: MovieLens) -> None:
    table = rare_items(some, bands=(0, 5, 1000))
    assert table["popularity"].iloc[0] == 0
    assert table["popularity"].iloc[1] > 0.05
