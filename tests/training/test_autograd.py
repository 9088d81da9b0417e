"""The scalar autograd against PyTorch in float64, against finite differences, and on its own."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import DataError
from companion.training.autograd import Value

# Each operation with the number of its inputs, for a Value and for a tensor alike. The domains are
# kept by the operation itself: log(x² + 1), 1/(x² + 1); tanh keeps the numbers small.
OPERATIONS: dict[str, tuple[int, Any]] = {
    "add": (2, lambda a, b: a + b),
    "subtract": (2, lambda a, b: a - b),
    "multiply": (2, lambda a, b: (a * b).tanh()),
    "divide": (2, lambda a, b: a / (b**2 + 1.0)),
    "power": (1, lambda a: (a**3).tanh()),
    "root": (1, lambda a: (a**2 + 1.0) ** 0.5),
    "exp": (1, lambda a: a.tanh().exp()),
    "log": (1, lambda a: (a**2 + 1.0).log()),
    "tanh": (1, lambda a: a.tanh()),
    "relu": (1, lambda a: a.relu()),
    "constant": (1, lambda a: 2.0 - 3.0 * a + 1.0 / (a**2 + 1.0)),
}


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[float], list[tuple[str, list[int]]]]:
    """Leaves, and operations that each take earlier results: shared inputs are common."""
    leaves = draw(st.lists(st.floats(-3, 3), min_size=1, max_size=4))
    steps = []
    for number in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(sorted(OPERATIONS)))
        place = st.integers(0, len(leaves) + number - 1)
        steps.append((name, [draw(place) for _ in range(OPERATIONS[name][0])]))
    return leaves, steps


def run(leaves: list[Any], steps: list[tuple[str, list[int]]]) -> Any:
    results = list(leaves)
    for name, places in steps:
        results.append(OPERATIONS[name][1](*(results[place] for place in places)))
    return results[-1]


@settings(max_examples=200, deadline=None)
@given(programs())
def test_it_equals_torch_on_any_expression(program: Any) -> None:
    numbers, steps = program
    ours = [Value(number) for number in numbers]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    our_result, their_result = run(ours, steps), run(theirs, steps)
    our_result.backward()
    their_result.backward()
    assert our_result.data == pytest.approx(their_result.item(), rel=1e-10, abs=1e-10)
    for our, their in zip(ours, theirs, strict=True):
        expected = 0.0 if their.grad is None else their.grad.item()
        assert our.grad == pytest.approx(expected, rel=1e-10, abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.floats(-2, 2), st.floats(-2, 2))
def test_it_equals_finite_differences(x: float, y: float) -> None:
    def result(x: float, y: float, grads: bool = False) -> Any:
        a, b = Value(x), Value(y)
        end = (a * b).tanh() + (a**2 + 1.0).log() / (b.exp() + 1.0)
        if grads:
            end.backward()
            return a.grad, b.grad
        return end.data

    h = 1e-5
    numeric = (
        (result(x + h, y) - result(x - h, y)) / (2 * h),
        (result(x, y + h) - result(x, y - h)) / (2 * h),
    )
    assert result(x, y, grads=True) == pytest.approx(numeric, abs=1e-8)


def test_a_value_used_twice_gets_both_slopes() -> None:
    x = Value(3.0)
    (x * x + x).backward()
    assert x.grad == 2 * 3 + 1


def test_gradients_add_up_over_calls() -> None:
    p = Value(3.0)
    for _ in range(3):
        (2 * p).backward()
    assert p.grad == 6


def test_two_calls_on_one_graph_give_twice_the_gradient() -> None:
    x = Value(0.5)
    end = (x.tanh() * x).exp()
    end.backward()
    once = x.grad
    end.backward()
    assert x.grad == pytest.approx(2 * once, rel=1e-15)


def test_a_long_chain_does_not_exhaust_the_stack() -> None:
    x = Value(1.0)
    end = x
    for _ in range(20_000):
        end = end + 1
    end.backward()
    assert (end.data, x.grad) == (20_001, 1)


def test_relu_is_flat_at_zero_as_in_torch() -> None:
    x = Value(0.0)
    x.relu().backward()
    assert x.grad == 0


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: Value(-1.0).log(), "the logarithm of -1 "),
        (lambda: Value(0.0).log(), "the logarithm of 0 "),
        (lambda: Value(800.0).exp(), "e to the power 800 "),
        (lambda: Value(1.0) / 0, "0 to the power -1 "),
        (lambda: Value(-2.0) ** 0.5, "-2 to the power 0.5 is not a real number"),
        (lambda: Value(0.0) ** 0.5, "the slope of x to the power 0.5 at 0 "),
    ],
)
def test_what_has_no_number_says_so(compute: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compute()


def test_power_zero_is_flat_everywhere() -> None:
    x = Value(0.0)
    end = x**0
    end.backward()
    assert (end.data, x.grad) == (1, 0)


def test_its_text_shows_both_numbers() -> None:
    x = Value(math.pi)
    x.backward()
    assert repr(x) == "Value(3.14159, grad=1)"
