"""The formulas by hand, against counts, and against what teams published."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from pybtex.database import parse_string
from torch.utils.checkpoint import checkpoint

from companion.concepts.economics import Accelerator
from companion.concepts.transformer import LanguageModel
from companion.errors import DataError
from companion.questions.compute import (
    Shape,
    accelerators_needed,
    activation_bytes,
    api_call_cost,
    cache_bytes,
    carbon_kg,
    energy_kwh,
    optimal_size,
    optimal_tokens,
    token_costs,
    training_cost,
    training_flop,
    training_memory,
    training_seconds,
)
from companion.questions.constants import (
    ACCELERATORS,
    CONSTANTS,
    GRIDS,
    Assumptions,
    Constant,
    accelerator_named,
    assumptions,
    constants_as_json,
)
from companion.questions.counting import (
    MixedPrecisionAdam,
    TransformerBlock,
    saved_bytes,
    step_flop,
)
from companion.questions.published import (
    PUBLISHED_RUNS,
    carbon_table,
    flop_table,
    hours_table,
    reached_utilisation,
)

torch.set_num_threads(1)
SMALL = Accelerator("small", 1000.0, 100.0, 50.0, 10.0)
EASY = Assumptions(utilisation=0.5, power_share=0.8, pue=1.25, kg_per_kwh=0.4, price_per_hour=3)


def test_a_run_by_hand() -> None:
    cost = training_cost(10, 3_600_000, SMALL, 4, EASY)
    assert cost.flop == 6 * 10 * 3_600_000
    assert cost.hours == pytest.approx(cost.flop / (1000 * 0.5) / 3600)
    assert cost.days == pytest.approx(cost.hours / 4 / 24)
    assert cost.kwh == pytest.approx(cost.hours * 10 * 0.8 * 1.25 / 1000)
    assert cost.carbon_kg == pytest.approx(0.4 * cost.kwh)
    assert cost.money == pytest.approx(3 * cost.hours)
    again = training_cost(10, 3_600_000, SMALL, 4, EASY, recompute=True)
    assert again.hours == pytest.approx(cost.hours * 4 / 3)
    unknown = Accelerator("unknown", 1000.0, 100.0, 50.0)
    assert math.isnan(training_cost(10, 10, unknown, 1, EASY).kwh)


def test_the_formula_of_megatron() -> None:
    """8TP/(nX): the two examples of Narayanan et al., section 5.1, 34 and 84 days."""
    gpt3 = training_seconds(training_flop(175e9, 300e9, recompute=True), 1024, 140e12)
    assert gpt3 / 86_400 == pytest.approx(34, abs=0.5)
    trillion = training_seconds(training_flop(1e12, 450e9, recompute=True), 3072, 163e12)
    assert trillion / 86_400 == pytest.approx(84, abs=1)


def test_the_optimal_size_is_the_inverse_of_the_optimal_tokens() -> None:
    parameters, tokens = optimal_size(training_flop(70e9, optimal_tokens(70e9)))
    assert (parameters, tokens) == pytest.approx((70e9, 1.4e12))
    assert optimal_tokens(175e9) == pytest.approx(3.5e12)


@pytest.mark.parametrize(
    ("parameters", "flop", "tokens"),
    [(0.4e9, 1.92e19, 8e9), (10e9, 1.23e22, 205.1e9), (175e9, 3.85e24, 3.7e12)],
)
def test_the_optimal_size_against_the_table_of_the_paper(
    parameters: float, flop: float, tokens: float
) -> None:
    assert optimal_size(flop)[0] == pytest.approx(parameters, rel=0.06)
    assert optimal_size(flop)[1] == pytest.approx(tokens, rel=0.06)


@pytest.mark.parametrize(
    ("sequence", "batch", "width", "heads"), [(64, 2, 64, 4), (128, 1, 64, 4), (32, 4, 128, 8)]
)
def test_the_activations_are_those_that_autograd_keeps(
    sequence: int, batch: int, width: int, heads: int
) -> None:
    torch.manual_seed(0)
    block = TransformerBlock(width, heads).to(torch.bfloat16).train()
    states = torch.randn(batch, sequence, width, dtype=torch.bfloat16, requires_grad=True)
    shape = Shape(1, width, heads, sequence, batch)
    kept = saved_bytes(block, lambda: block(states))
    # A normalisation also keeps a mean and a deviation a token, in 16 or in 32 bits.
    statistics = 2 * 2 * sequence * batch
    assert 2 * statistics <= kept - activation_bytes(shape) <= 4 * statistics
    inputs = saved_bytes(block, lambda: checkpoint(block, states, use_reentrant=False))
    assert inputs == 2 * sequence * batch * width


def test_what_recomputing_saves() -> None:
    shape = Shape(layers=3, width=8, heads=2, sequence=16, batch=5)
    vectors, matrices = 16 * 5 * 8, 2 * 16 * 16 * 5
    assert activation_bytes(shape) == 3 * (34 * vectors + 5 * matrices)
    assert activation_bytes(shape, "attention") == 3 * 34 * vectors
    whole = 34 * vectors + 5 * matrices
    assert activation_bytes(shape, "everything") == 3 * 2 * vectors + whole


def test_adam_in_mixed_precision_holds_sixteen_bytes_a_parameter() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 4).to(torch.bfloat16)
    before = model.weight.detach().clone()
    optimizer = MixedPrecisionAdam(model)
    model(torch.ones(2, 8, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    held, parameters = optimizer.bytes_held(), 8 * 4 + 4
    expected = training_memory(parameters)
    assert held["weights"] == expected.weights == 2 * parameters
    assert held["gradients"] == expected.gradients == 2 * parameters
    assert held["optimizer"] == expected.optimizer == 12 * parameters
    assert expected.total == CONSTANTS["training_bytes_per_parameter"].value * parameters
    assert (model.weight != before).all(), "it also learns"
    torch.testing.assert_close(model.weight, optimizer.large[0].to(torch.bfloat16))


def test_a_step_is_three_times_its_forward_pass() -> None:
    model = LanguageModel(32, width=64, layers=2, heads=4, context=8)
    ids = torch.arange(8)[None]
    read, learnt = step_flop(
        lambda: torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten())
    )
    assert learnt == 2 * read
    matrices = 2 * 12 * 64**2 + 32 * 64
    attention = 2 * 2 * 2 * 64 * 8  # layers, products, operations, width, tokens that are seen
    assert read == 8 * (2 * matrices + attention)


def test_accelerators_memory_energy_and_calls() -> None:
    assert accelerators_needed(112e9, ACCELERATORS["h100"]) == 2
    assert accelerators_needed(1, ACCELERATORS["h100"]) == 1
    assert accelerators_needed(2.8e12, ACCELERATORS["a100"], usable=1) == 35
    assert energy_kwh(1000, 400, 1.1) == pytest.approx(440)
    assert carbon_kg(440, 0.5) == 220
    assert cache_bytes(32, 4096, 2048) == 2 * 32 * 4096 * 2048 * 2
    assert api_call_cost(500, 200, 1.0, 4.0) == pytest.approx(0.0013)
    costs = token_costs(10, SMALL, EASY, batch=2)
    assert costs.reading == pytest.approx(20e6 / 500 / 3600 * 3)
    assert costs.writing == pytest.approx(20e6 / 100 / 2 / 3600 * 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: training_flop(0, 1),
        lambda: training_seconds(1, 0, 1),
        lambda: optimal_size(-1),
        lambda: Shape(1, 1, 1, 0),
        lambda: accelerators_needed(1, SMALL, usable=0),
        lambda: accelerator_named("abacus"),
        lambda: assumptions(hope=1.0),
        lambda: assumptions(utilisation=0.0),
        lambda: assumptions(utilisation=1.1),
        lambda: assumptions(pue=0.9),
        lambda: assumptions(pue=math.nan),
        lambda: assumptions(price_per_hour=-1.0),
        lambda: Constant(1, 2, 3, "", "x", ()),
    ],
)
def test_what_cannot_be_is_refused(call: object) -> None:
    with pytest.raises(DataError):
        call()  # type: ignore[operator]


def test_low_is_cheap_and_high_is_dear() -> None:
    costs = [
        training_cost(7e9, 140e9, ACCELERATORS["a100"], 8, each) for each in assumptions().values()
    ]
    for field in ("days", "kwh", "carbon_kg", "money"):
        low, usual, high = (getattr(each, field) for each in costs)
        assert low < usual < high
    given = assumptions(price_per_hour=7.0)
    assert {each.price_per_hour for each in given.values()} == {7.0}


def test_every_number_has_a_source_that_the_bibliography_knows() -> None:
    text = (Path(__file__).parents[2] / "book" / "references.bib").read_text(encoding="utf-8")
    known = set(parse_string(text, "bibtex").entries)
    for each in [*CONSTANTS.values(), *ACCELERATORS.values(), *PUBLISHED_RUNS]:
        assert each.source
        assert set(each.source) <= known


def test_the_constants_are_plain_json() -> None:
    exported = json.loads(json.dumps(constants_as_json(), allow_nan=False))
    assert exported["constants"]["pue"]["value"] == CONSTANTS["pue"].value
    assert exported["accelerators"]["h100"]["watts"] == 700
    assert exported["grids_kg_per_kwh"] == GRIDS
    low, high = CONSTANTS["kg_per_kwh"].low, CONSTANTS["kg_per_kwh"].high
    assert (min(GRIDS.values()), max(GRIDS.values())) == (low, high)


def test_the_operations_are_those_that_teams_counted() -> None:
    ratios = flop_table()["ratio"]
    assert len(ratios) == 5
    assert ratios.between(0.85, 1.15).all()
    assert ratios.drop("Gopher").between(0.97, 1.01).all()


def test_the_hours_are_right_within_a_factor_of_two() -> None:
    table = hours_table()
    assert len(table) == 13
    assert table["ratio"].between(0.5, 2).all()
    assert table["ratio"].median() == pytest.approx(1, abs=0.1)


def test_a_run_does_not_predict_itself() -> None:
    slow = [run for run in PUBLISHED_RUNS if run.family in ("LLaMA", "PaLM", "BLOOM")]
    table = hours_table(slow)
    others = [reached_utilisation(run) for run in slow if run.family == "LLaMA"]
    others += [reached_utilisation(run) for run in slow if run.family == "BLOOM"]
    guess = sorted(others)[1]
    palm = next(run for run in slow if run.family == "PaLM")
    expected = 6 * palm.parameters * palm.tokens / (3600 * 275e12 * guess)
    assert table.loc["PaLM", "ours"] == pytest.approx(expected)


def test_the_utilisation_is_that_of_the_published_runs() -> None:
    reached = hours_table()["utilisation"]
    constant = CONSTANTS["utilisation"]
    assert reached.median() == pytest.approx(constant.value, abs=0.01)
    assert (reached.min(), reached.max()) == pytest.approx((constant.low, constant.high), abs=0.01)


def test_the_carbon_is_that_of_the_teams() -> None:
    table = carbon_table()
    assert len(table) == 7
    assert table["ratio"].between(0.97, 1.03).all()
    assert (table["elsewhere"] > table["ours"]).all()


def test_gpt3_is_counted_once() -> None:
    """The errata: 14.8 days on 10,000 V100 at 24.6 TFLOP/s, which is 1,250 servers of eight."""
    days = training_seconds(training_flop(174.6e9, 300e9), 10_000, 24.6e12) / 86_400
    assert days == pytest.approx(14.8, abs=0.05)
    assert not re.search("server", json.dumps(constants_as_json()))
