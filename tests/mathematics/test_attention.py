"""Attention from scratch equals PyTorch's, forward and gradient, with and without masks."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from companion.errors import DataError
from companion.mathematics.attention import (
    MultiHeadWeights,
    attend,
    attend_backward,
    attention_weights,
    causal_mask,
    gate,
    multi_head,
    multi_head_backward,
    sigmoid_attention,
)
from companion.mathematics.losses import softmax

GENERATOR = np.random.default_rng(0)
MASKS = [None, causal_mask(5), np.array([True, True, False, True, False])[None]]


@pytest.mark.parametrize("mask", MASKS, ids=["none", "causal", "padding"])
def test_attention_equals_torch_forward_and_gradient(mask: np.ndarray | None) -> None:
    arrays = [GENERATOR.normal(size=(2, 5, width)) for width in (4, 4, 3)]
    downstream = GENERATOR.normal(size=(2, 5, 3))
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    theirs = functional.scaled_dot_product_attention(
        *tensors, attn_mask=None if mask is None else torch.tensor(np.broadcast_to(mask, (5, 5)))
    )
    (theirs * torch.tensor(downstream)).sum().backward()
    np.testing.assert_allclose(attend(*arrays, mask), theirs.detach().numpy(), atol=1e-10)
    gradients = attend_backward(*arrays, downstream, mask)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), atol=1e-10)


@pytest.mark.parametrize("mask", MASKS[:2], ids=["none", "causal"])
def test_several_heads_equal_torch_forward_and_gradient(mask: np.ndarray | None) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    x = torch.randn(3, 5, 8, dtype=torch.float64, requires_grad=True)
    downstream = torch.randn(3, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        module.in_proj_bias.normal_()
        module.out_proj.bias.normal_()
    theirs = module(x, x, x, attn_mask=None if mask is None else torch.tensor(~mask))[0]
    (theirs * downstream).sum().backward()
    parameters = [module.in_proj_weight, module.in_proj_bias]
    parameters += [module.out_proj.weight, module.out_proj.bias]
    weights = MultiHeadWeights(*(parameter.detach().numpy() for parameter in parameters))
    array = x.detach().numpy()
    np.testing.assert_allclose(
        multi_head(weights, array, 2, mask), theirs.detach().numpy(), atol=1e-10
    )
    gradients, d_x = multi_head_backward(weights, array, 2, downstream.numpy(), mask)
    assert x.grad is not None
    np.testing.assert_allclose(d_x, x.grad.numpy(), atol=1e-10)
    for gradient, parameter in zip(dataclasses.astuple(gradients), parameters, strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(gradient, parameter.grad.numpy(), atol=1e-10)


def test_a_worked_example() -> None:
    query = np.array([[1.0, 0.0]])
    key = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    value = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    np.testing.assert_allclose(
        attention_weights(query, key)[0], [0.4011, 0.1978, 0.4011], atol=5e-5
    )
    np.testing.assert_allclose(attend(query, key, value)[0], [1.2033, 1.0], atol=5e-5)


def test_the_numbers_of_the_article_corrected() -> None:
    weights = np.array([0.1, 0.2, 0.3])
    tokens = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0, 3.0, 3.0]])
    assert tokens[0] @ weights == pytest.approx(1.4)
    gates = gate(tokens, weights)
    np.testing.assert_allclose(gates, [0.802, 0.731, 0.846], atol=5e-4)
    assert gates.sum() == pytest.approx(2.379, abs=5e-4)
    np.testing.assert_allclose(gates[0] * tokens[0], [0.8022, 1.6044, 2.4066], atol=5e-5)
    np.testing.assert_allclose(softmax(tokens @ weights), [0.331, 0.222, 0.447], atol=5e-4)


def test_sigmoid_attention_equals_its_formula() -> None:
    query, key, value = GENERATOR.normal(size=(3, 2, 5, 4))
    tensors = [torch.tensor(array) for array in (query, key, value)]
    scores = tensors[0] @ tensors[1].transpose(1, 2) / 2 - np.log(5)
    np.testing.assert_allclose(
        sigmoid_attention(query, key, value),
        (torch.sigmoid(scores) @ tensors[2]).numpy(),
        atol=1e-10,
    )


def test_without_a_score_both_weigh_all_keys_nearly_alike() -> None:
    zeros, ones = np.zeros((1, 8, 4)), np.ones((1, 8, 1))
    np.testing.assert_allclose(attend(zeros, zeros, ones), 1)
    np.testing.assert_allclose(sigmoid_attention(zeros, zeros, ones), 8 / 9)


def test_a_query_that_sees_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="all False"):
        attention_weights(np.ones((2, 3)), np.ones((2, 3)), np.array([[True, True], [False] * 2]))
    weights = MultiHeadWeights(np.ones((9, 3)), np.ones(9), np.ones((3, 3)), np.ones(3))
    with pytest.raises(DataError, match="no multiple of 2 heads"):
        multi_head(weights, np.ones((1, 2, 3)), 2)
