"""Back-propagation on single numbers, in a hundred lines.

Explained in :doc:`/training/backward`. PyTorch does the same on tensors.
"""

import math
from collections.abc import Callable
from typing import Union

from companion.errors import DataError

__all__ = ["Value"]

Operand = Union["Value", float]


class Value:
    """A number that remembers how it was computed.

    Args:
        data: The number.
        inputs: The values that it was computed from, each with the slope of this value with respect
            to it. A value without inputs is a leaf: a parameter or a constant.

    Attributes:
        data: The number.
        grad: The sum of what every call of :meth:`backward` found for it.
    """

    def __init__(self, data: float, inputs: tuple[tuple["Value", float], ...] = ()) -> None:
        self.data = float(data)
        self.inputs = inputs
        self.grad = 0.0

    def __add__(self, other: Operand) -> "Value":
        other = _value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: Operand) -> "Value":
        other = _value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def __pow__(self, exponent: float) -> "Value":
        power = _checked(lambda: self.data**exponent, f"{self.data:g} to the power {exponent:g}")
        slope = _checked(
            lambda: exponent * self.data ** (exponent - 1) if exponent else 0.0,
            f"the slope of x to the power {exponent:g} at {self.data:g}",
        )
        return Value(power, ((self, slope),))

    def exp(self) -> "Value":
        """Give e to the power of this value."""
        power = _checked(lambda: math.exp(self.data), f"e to the power {self.data:g}")
        return Value(power, ((self, power),))

    def log(self) -> "Value":
        """Give the natural logarithm."""
        logarithm = _checked(lambda: math.log(self.data), f"the logarithm of {self.data:g}")
        return Value(logarithm, ((self, 1 / self.data),))

    def tanh(self) -> "Value":
        """Give the hyperbolic tangent."""
        bent = math.tanh(self.data)
        return Value(bent, ((self, 1 - bent * bent),))

    def relu(self) -> "Value":
        """Give the value where it is positive, and 0 elsewhere; the slope at 0 is 0."""
        return Value(max(self.data, 0.0), ((self, float(self.data > 0)),))

    def __neg__(self) -> "Value":
        return self * -1.0

    def __sub__(self, other: Operand) -> "Value":
        return self + -_value(other)

    def __truediv__(self, other: Operand) -> "Value":
        return self * _value(other) ** -1

    def __radd__(self, other: float) -> "Value":
        return self + other

    def __rmul__(self, other: float) -> "Value":
        return self * other

    def __rsub__(self, other: float) -> "Value":
        return -self + other

    def __rtruediv__(self, other: float) -> "Value":
        return _value(other) / self

    def __repr__(self) -> str:
        return f"Value({self.data:g}, grad={self.grad:g})"

    def backward(self) -> None:
        """Add to ``grad``, of every value this one was computed from, its slope with respect to it.

        The slopes are *added* to what is there: set ``grad`` to zero before the next step.
        """
        slopes = {id(self): 1.0}
        for value in reversed(self.history()):
            slope = slopes[id(value)]
            value.grad += slope
            for source, local in value.inputs:
                slopes[id(source)] = slopes.get(id(source), 0.0) + slope * local

    def history(self) -> list["Value"]:
        """List every value this one was computed from, itself last, each after its inputs."""
        order: list[Value] = []
        seen: set[int] = set()
        waiting: list[tuple[Value, bool]] = [(self, False)]
        while waiting:
            value, inputs_done = waiting.pop()
            if inputs_done:
                order.append(value)
            elif id(value) not in seen:
                seen.add(id(value))
                waiting.append((value, True))
                waiting += [(source, False) for source, _ in value.inputs]
        return order


def _value(number: Operand) -> Value:
    return number if isinstance(number, Value) else Value(number)


def _checked(compute: Callable[[], float], what: str) -> float:
    """Compute a number, or say which one is not a finite real number."""
    try:
        result = compute()
    except (ValueError, ArithmeticError) as error:
        raise DataError(f"{what} is not defined or too large; check the input of this step") from (
            error
        )
    if isinstance(result, complex):
        raise DataError(f"{what} is not a real number; check the input of this step")
    return result
